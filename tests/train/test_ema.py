"""`train.ema`: an average of the parameters, which samples and scores."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from svtcli.train.checkpoint import Checkpoints, restore_params
from svtcli.train.state import abstract_state, used_params
from svtcli.train.step import jit_update, make_update
from tests.train import toy

TRAIN = replace(toy.TRAIN, ema=0.75)


@pytest.fixture(scope="module")
def update():
    return jit_update(make_update(toy.loss, TRAIN), toy.state(TRAIN), toy.batch(0))


def test_the_average_has_the_recipe_s_decay(update) -> None:
    state = toy.state(TRAIN)
    expected = np.asarray(state["params"]["layer"]["w"])
    assert toy.same(state["ema"], state["params"])
    for step in range(5):
        state, _ = update(state, toy.batch(step))
        expected = 0.75 * expected + 0.25 * np.asarray(state["params"]["layer"]["w"])
        np.testing.assert_allclose(state["ema"]["layer"]["w"], expected, rtol=1e-6)
    assert not toy.same(state["ema"], state["params"])
    assert used_params(state) is state["ema"]
    assert {leaf.dtype for leaf in toy.arrays(state["ema"])} == {np.dtype("float32")}


def test_a_poisoned_step_does_not_change_the_average(update) -> None:
    state, _ = update(toy.state(TRAIN), toy.batch(0))
    before = jax.device_get(state["ema"])
    state, metrics = update(state, toy.batch(1, np.nan))
    assert not metrics.finite
    assert toy.same(state["ema"], before)


def test_averaging_does_not_change_the_training(update) -> None:
    plain = jit_update(make_update(toy.loss, toy.TRAIN), toy.state(), toy.batch(0))
    one, other = toy.state(TRAIN), toy.state()
    for step in range(3):
        one, _ = update(one, toy.batch(step))
        other, _ = plain(other, toy.batch(step))
    assert toy.same(one["params"], other["params"])
    assert toy.same(one["opt"], other["opt"])


def test_without_averaging_the_state_has_no_average() -> None:
    assert "ema" not in toy.state()
    assert "ema" not in abstract_state(toy.params(), toy.TRAIN)
    state = toy.state()
    assert used_params(state) is state["params"]


def test_the_average_is_restored_bit_for_bit(update, tmp_path) -> None:
    state = toy.state(TRAIN)
    for step in range(3):
        state, _ = update(state, toy.batch(step))
    kept = jax.device_get(state)
    with Checkpoints(tmp_path, 2, "clips", print) as checkpoints:
        checkpoints.save(state)
        checkpoints.wait()
        back = checkpoints.restore(abstract_state(toy.params(), TRAIN))
    assert back is not None
    assert toy.same(jax.device_get(back), kept)
    shapes = jax.eval_shape(toy.params)
    assert toy.same(restore_params(tmp_path, 3, shapes, "ema"), kept["ema"])
    assert toy.same(restore_params(tmp_path, 3, shapes), kept["params"])


def test_a_resumed_average_equals_an_uninterrupted_one(update, tmp_path) -> None:
    straight = toy.state(TRAIN)
    for step in range(4):
        straight, _ = update(straight, toy.batch(step))
    state = toy.state(TRAIN)
    for step in range(2):
        state, _ = update(state, toy.batch(step))
    with Checkpoints(tmp_path, 2, "clips", print) as checkpoints:
        checkpoints.save(state)
        checkpoints.wait()
        state = checkpoints.restore(abstract_state(toy.params(), TRAIN))
    for step in range(2, 4):
        state, _ = update(state, toy.batch(step))
    assert toy.same(state, straight)
