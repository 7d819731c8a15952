from dataclasses import replace

import jax
import numpy as np
import pytest

from svtcli.recipe.schema import Train
from svtcli.train.state import abstract_state
from svtcli.train.step import jit_update, make_update
from tests.train import toy


@pytest.fixture(scope="module")
def update():
    return jit_update(make_update(toy.loss, toy.TRAIN), toy.state(), toy.batch(0))


def test_steps_lower_the_loss(update) -> None:
    state, losses = toy.state(), []
    for _ in range(200):
        state, metrics = update(state, toy.batch(0))
        losses.append(float(metrics.loss))
    assert losses[-1] < 0.01 * losses[0]
    assert int(state["step"]) == 200


def test_one_step_is_the_gradient_through_the_optimizer(update) -> None:
    before = toy.params()
    (value, score), gradient = jax.value_and_grad(toy.loss, has_aux=True)(
        before, toy.batch(0)
    )
    g = np.asarray(gradient["layer"]["w"])
    by_hand = before["layer"]["w"] - 0.01 * g / np.sqrt(0.95 + 0.05 * g**2)
    after, metrics = update(toy.state(), toy.batch(0))
    np.testing.assert_allclose(after["params"]["layer"]["w"], by_hand, rtol=1e-6)
    np.testing.assert_allclose(metrics.loss, value, rtol=1e-6)
    np.testing.assert_allclose(metrics.score, score, rtol=1e-6)
    np.testing.assert_allclose(metrics.grad_norm, np.sqrt((g**2).sum()), rtol=1e-6)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_a_non_finite_update_never_enters_the_state(update, poison: float) -> None:
    state, _ = update(toy.state(), toy.batch(0))
    before = jax.device_get(state)
    after, metrics = update(state, toy.batch(1, poison))
    assert not metrics.finite
    assert toy.same(after["params"], before["params"])
    assert toy.same(after["opt"], before["opt"])
    assert int(after["step"]) == 2  # the next step sees other data
    _, metrics = update(after, toy.batch(2))
    assert metrics.finite


def test_a_finite_loss_with_an_infinite_gradient_is_skipped_too() -> None:
    def steep(params, batch):
        w = params["layer"]["w"]
        return jax.numpy.sqrt(jax.numpy.abs(w - w[0, 0])).mean(), w.sum()

    update = jit_update(make_update(steep, toy.TRAIN), toy.state(), toy.batch(0))
    after, metrics = update(toy.state(), toy.batch(0))
    assert np.isfinite(metrics.loss)
    assert not metrics.finite
    assert toy.same(after["params"], toy.params())


def test_a_schedule_follows_the_step_and_not_the_accepted_updates() -> None:
    train = replace(toy.TRAIN, warmup=4)
    update = jit_update(make_update(toy.loss, train), toy.state(train), toy.batch(0))
    state, rates = toy.state(train), []
    for step in range(5):
        state, metrics = update(state, toy.batch(step, np.nan if step == 1 else 0.0))
        rates.append(float(metrics.learning_rate))
    np.testing.assert_allclose(rates, [0.0025, 0.005, 0.0075, 0.01, 0.01], rtol=1e-6)


def test_the_step_donates_its_state(update) -> None:
    state = toy.state()
    update(state, toy.batch(0))
    assert state["params"]["layer"]["w"].is_deleted()


def test_abstract_state_is_the_state_s_shape() -> None:
    for train in (Train(), Train(optimizer="adamw"), Train(momentum=0.0)):
        abstract = abstract_state(jax.eval_shape(toy.params), train)
        state = toy.state(train)
        assert jax.tree.structure(abstract) == jax.tree.structure(state)
        for one, other in zip(
            jax.tree.leaves(abstract), jax.tree.leaves(state), strict=True
        ):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            assert one.sharding == other.sharding
