"""By every schedule, samples are drawn with the model's probabilities."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from svtcli.evaluation.likelihood import Scorer
from svtcli.model.codes import codes_from_video
from svtcli.model.subscale import take_slice
from svtcli.model.svt import Params, network
from svtcli.recipe.model import Model
from svtcli.sampling.choice import Choice
from svtcli.sampling.guess import guess_slice
from svtcli.sampling.noise import row_keys
from svtcli.sampling.parallel import sample_slice_in_steps
from svtcli.sampling.sampler import MakeSlice, Sampler
from svtcli.sampling.sequential import sample_slice
from tests.model.test_probability import ENUMERABLE
from tests.sampling.test_choice import kept_values
from tests.tiny import network_of

DRAWS = 4000
SCHEDULES = {
    "sequential": sample_slice,
    "parallel": sample_slice_in_steps,
    "guess": partial(guess_slice, window=2),
}
CONFIGS = {
    name: replace(ENUMERABLE[name], pixel_bits=4, code_bits=2)
    for name in ("subscaled", "first slice decoder")
}
"""With 256 continuations of a frame: two pixels of two codes of four values."""


def sharp_network(config: Model) -> tuple[nnx.GraphDef, Params]:
    """A network in which the second pixel depends on the first, and not a little.

    At random, what reads pixels is drowned by what does not: then a sampler that takes
    a wrong first pixel for true could not be told from a right one.
    """
    graphdef, params = network_of(config, seed=1)
    factors = {
        0.1: ("bias", "positions", "slice_embedding"),
        10: ("masked_conv", "code_embedding", "context_kernel"),
        2: ("to_logits",),
    }

    def sharper(path: tuple[jax.tree_util.DictKey, ...], leaf: jax.Array) -> jax.Array:
        names = {key.key for key in path}
        found = [by for by, named in factors.items() if names & {*named}]
        return leaf * found[0] if found else leaf

    return graphdef, jax.tree_util.tree_map_with_path(sharper, params)


def shared_nats(probability: np.ndarray) -> float:
    """What the first pixel tells of the second."""
    both = probability.reshape(16, 16)
    apart = both.sum(0) * both.sum(1, keepdims=True)
    return float((both * np.log(both / apart)).sum())


def continuations(
    config: Model, make_slice: MakeSlice, rule: Choice
) -> tuple[np.ndarray, np.ndarray]:
    """All videos that continue one frame, and how often each was drawn."""
    given = np.zeros((DRAWS, *config.video, 1), np.uint8)
    given[:, 0] = [[[1], [2]]]
    keys = row_keys(0, np.zeros(DRAWS, int), np.arange(DRAWS))
    sampler = Sampler(config, *sharp_network(config), make_slice)
    made = sampler.continue_video(given, 1, 1, keys, rule).video
    assert (made[:, 0] == given[:, 0]).all()
    first, second = made[:, 1, 0, :, 0].T.astype(int)
    every = np.repeat(given[:1], 256, axis=0)
    every[:, 1, 0, :, 0] = np.stack(np.divmod(np.arange(256), 16), axis=1)
    return every, np.bincount(16 * first + second, minlength=256)


def assert_drawn_so(counted: np.ndarray, probability: np.ndarray) -> None:
    """χ² is below what one of 1,000 true samplers exceeds (Wilson and Hilferty).

    What is expected fewer than five times is put together.
    """
    assert probability.sum() == pytest.approx(1, rel=1e-4)
    assert counted.sum() == DRAWS
    assert (counted[probability == 0] == 0).all()
    expected = DRAWS * probability
    often = expected >= 5
    rare = expected[~often].sum()
    groups = [(counted[often], expected[often])]
    if rare >= 5:
        groups.append((counted[~often].sum(), rare))
    chi_square = sum(((n - e) ** 2 / e).sum() for n, e in groups)
    freedom = often.sum() + (rare >= 5) - 1
    assert freedom > 5
    spread = 2 / (9 * freedom)
    assert chi_square < freedom * (1 - spread + 3.09 * spread**0.5) ** 3


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        pytest.param("subscaled", "sequential", marks=pytest.mark.slow),
        pytest.param("subscaled", "parallel", marks=pytest.mark.slow),
        pytest.param("subscaled", "guess", marks=pytest.mark.slow),
        pytest.param("first slice decoder", "sequential", marks=pytest.mark.slow),
        ("first slice decoder", "parallel"),
        pytest.param("first slice decoder", "guess", marks=pytest.mark.slow),
    ],
)
def test_samples_are_drawn_with_the_models_probabilities(name, schedule):
    """Frequencies of all continuations of one frame, against their probabilities."""
    config = CONFIGS[name]
    every, counted = continuations(config, SCHEDULES[schedule], Choice.of(1.0))
    nats = Scorer(config, *sharp_network(config)).frame_nats(every, 1, 1).sum(1)
    assert shared_nats(np.exp(-nats)) > 0.2
    assert_drawn_so(counted, np.exp(-nats))


def kept_probabilities(
    videos: np.ndarray, temperature: float, top_k: int, top_p: float
) -> np.ndarray:
    """Of the last slice of each video: each code's, filtered by the definition."""
    config = CONFIGS["subscaled"]
    model = network(*sharp_network(config))
    codes = codes_from_video(jnp.asarray(videos), config)
    index = jnp.ones(len(videos), int)
    logits = np.asarray(jax.jit(model)(codes, index), np.float64)
    rows = logits.reshape(-1, config.values)
    kept = np.stack([kept_values(row, temperature, top_k, top_p) for row in rows])
    share = np.where(kept, np.exp(rows / temperature), 0)
    share /= share.sum(axis=1, keepdims=True)
    drawn = np.asarray(take_slice(codes, index, config.s)).reshape(-1, 1)
    each = np.take_along_axis(share, drawn, axis=1)
    return each.reshape(len(videos), -1).prod(axis=1)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_choice_draws_with_the_probabilities_that_it_leaves(schedule):
    """And with the model's where it leaves them all: one program for both."""
    for rule in [(1.0, 4, 1.0), (0.7, 3, 0.85)]:
        every, counted = continuations(
            CONFIGS["subscaled"], SCHEDULES[schedule], Choice.of(*rule)
        )
        probability = kept_probabilities(every, *rule)
        assert (probability == 0).any() == (rule[2] < 1)
        assert_drawn_so(counted, probability)
