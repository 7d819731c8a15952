"""By every schedule, samples are drawn with the model's probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.likelihood import Scorer
from svtcli.model.subscale import codes_from_video, take_slice
from svtcli.model.svt import network
from tests.sample.enumerated import (
    CONFIGS,
    DRAWS,
    FREE,
    SCHEDULES,
    drawn,
    one_frame,
    sharp_network,
)
from tests.sample.test_sampling_rule import kept_values


def counts(name: str, schedule: str, rule: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Videos that can follow one frame, and the number of draws of each."""
    config, made = CONFIGS[name], drawn(name, schedule, rule).video
    assert (made[:, 0] == one_frame(config)[:, 0]).all()
    first, second = made[:, 1, 0, :, 0].T.astype(int)
    every = one_frame(config, 256)
    every[:, 1, 0, :, 0] = np.stack(np.divmod(np.arange(256), 16), axis=1)
    return every, np.bincount(16 * first + second, minlength=256)


def shared_nats(probability: np.ndarray) -> float:
    """Information in the first pixel about the second."""
    both = probability.reshape(16, 16)
    apart = both.sum(0) * both.sum(1, keepdims=True)
    return float((both * np.log(both / apart)).sum())


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
    every, counted = counts(name, schedule, (1.0, None, None))
    nats = Scorer(config, *sharp_network(config)).frame_nll(every, 1, 1).sum(1)
    assert shared_nats(np.exp(-nats)) > 0.2
    assert_drawn_so(counted, np.exp(-nats))


def kept_probabilities(
    videos: np.ndarray, temperature: float, top_k: int, top_p: float
) -> np.ndarray:
    """Probabilities of the last slice of each video, filtered by the definition."""
    config = CONFIGS["subscaled"]
    model = network(*sharp_network(config))
    codes = codes_from_video(jnp.asarray(videos), config)
    index = jnp.ones(len(videos), int)
    logits = np.asarray(jax.jit(model)(codes, index), np.float64)
    rows = logits.reshape(-1, config.values)
    kept = np.stack([kept_values(row, temperature, top_k, top_p) for row in rows])
    share = np.where(kept, np.exp(rows / temperature), 0)
    share /= share.sum(axis=1, keepdims=True)
    own = np.asarray(take_slice(codes, index, config.s)).reshape(-1, 1)
    each = np.take_along_axis(share, own, axis=1)
    return each.reshape(len(videos), -1).prod(axis=1)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_rule_draws_with_its_renormalised_probabilities(schedule):
    """And with the model's where it leaves them all: one program for both."""
    for rule in [FREE, (0.7, 3, 0.85)]:
        every, counted = counts("subscaled", schedule, rule)
        probability = kept_probabilities(every, *rule)
        assert (probability == 0).any() == (rule[2] < 1)
        assert_drawn_so(counted, probability)
