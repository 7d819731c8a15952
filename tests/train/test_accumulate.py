"""`train.accumulate`: a batch in parts, one after the other, is the batch."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.windows import slice_choices
from svtcli.recipe.data import FolderData
from svtcli.recipe.schema import Recipe, Train
from svtcli.recipe.setting import Misfit
from svtcli.train.step import (
    accumulated,
    jit_update,
    make_update,
    micro_batch_weight,
    objective,
)
from tests.tiny import VARIANTS, network_of, random_actions, random_video, shallow
from tests.train import toy

BATCH = 16


def uneven_inputs(config, prime: int):
    """Rows that score different numbers of frames."""
    choices = slice_choices(config, prime, BATCH)
    index = [choice[-(row % 2)] for row, choice in enumerate(choices)]
    return {
        "video": random_video(config, BATCH),
        "slice_index": jnp.asarray(index, jnp.int32),
        "actions": random_actions(config, BATCH),
    }


def flat(tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("spatiotemporal", marks=pytest.mark.slow),
        pytest.param("actions", marks=pytest.mark.slow),
        "first slice decoder",
    ],
)
def test_micro_batches_give_the_loss_and_gradient_of_the_batch(name: str) -> None:
    config, train = shallow(VARIANTS[name]), Train(prime=1, batch=BATCH, accumulate=2)
    graphdef, params = network_of(config)
    inputs, weight = (
        uneven_inputs(config, train.prime),
        micro_batch_weight(config, train),
    )
    halves = [inputs | {"slice_index": inputs["slice_index"][i::2]} for i in (0, 1)]
    assert weight(halves[0]) != weight(halves[1])

    whole = jax.value_and_grad(objective(graphdef, config, train), has_aux=True)
    parts = accumulated(whole, 2, weight)
    expected, found = (jax.jit(each)(params, inputs) for each in (whole, parts))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    difference = np.linalg.norm(flat(found[1]) - flat(expected[1]))
    assert difference < 1e-6 * np.linalg.norm(flat(expected[1]))


def test_rows_are_dealt_to_micro_batches_in_turn() -> None:
    seen = []

    def whole(params, rows):
        jax.debug.callback(lambda r: seen.append(r.tolist()), rows, ordered=True)
        return (rows.sum(), rows.sum()), params

    parts = accumulated(whole, 3, lambda rows: jnp.ones(()))
    (mean, _), _ = parts(jnp.zeros(()), jnp.arange(6.0))
    jax.effects_barrier()
    assert seen == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert mean == 5.0


def test_an_accumulated_step_is_the_step() -> None:
    states = []
    for accumulate in (1, 2, 4):
        train = replace(toy.TRAIN, accumulate=accumulate)
        state, batch = toy.state(train), toy.batch(0)
        update = jit_update(make_update(toy.loss, train), state, batch)
        state, metrics = update(state, batch)
        assert metrics.finite
        states.append(toy.arrays(state["params"]))
    for other in states[1:]:
        for a, b in zip(states[0], other, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-6)


def test_one_poisoned_micro_batch_skips_the_whole_batch() -> None:
    train = replace(toy.TRAIN, accumulate=4)
    batch = toy.batch(0)
    update = jit_update(make_update(toy.loss, train), toy.state(train), batch)
    batch["x"][2] = np.nan
    state, metrics = update(toy.state(train), batch)
    assert not metrics.finite
    assert toy.same(state["params"], toy.params())


def recipe_of(batch: int, accumulate: int) -> Recipe:
    model = replace(
        VARIANTS["first slice decoder"], pixel_bits=8, code_bits=4, channels=3
    )
    data = FolderData(kind="folder", source="videos", size=4)
    return Recipe(
        data=data, model=model, train=Train(batch=batch, accumulate=accumulate)
    )


def test_first_slices_that_do_not_divide_evenly_are_refused() -> None:
    assert recipe_of(16, 2).model.first_rows(16) == 2
    with pytest.raises(Misfit, match="the 2 first slices of a batch too") as caught:
        recipe_of(16, 4)
    assert "train.accumulate" in caught.value.problems
    with pytest.raises(Misfit, match="divide the 16 slices"):
        recipe_of(16, 3)
