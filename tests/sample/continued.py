"""The same videos continued by several schedules, and what makes two of them equal."""

from collections.abc import Sequence

import jax
import numpy as np

from svtcli.recipe.model import Model
from svtcli.sample.sampler import Continuation, Sampler
from svtcli.sample.sampling_rule import SamplingRule, row_keys
from svtcli.sample.schedules import Sequential
from svtcli.sample.slice_state import Schedule
from tests.tiny import network_of


def continuations(
    config: Model,
    schedules: Sequence[Schedule],
    dtype: str = "float64",
    temperature: float = 0.2,
) -> list[Continuation]:
    """The same three videos continued pixel by pixel, then by the other schedules.

    In float64, where no rounding can turn a near tie; at a low temperature, for noise
    does not depend on what was guessed.
    """
    with jax.enable_x64(dtype == "float64"):
        parts = network_of(config, dtype=dtype)
        rng = np.random.default_rng(3)
        frames = config.video[0] + 1  # and a window that is primed by the first
        shape = (3, frames, *config.video[1:], config.channels)
        video = rng.integers(0, 2**config.pixel_bits, shape, dtype=np.uint8)
        actions = None
        if config.actions:
            actions = rng.normal(size=(3, frames, config.actions)).astype(np.float32)
        keys = row_keys(7, np.arange(3), np.zeros(3, int))
        return [
            Sampler(config, *parts, schedule).continue_video(
                video, 1, 1, keys, SamplingRule.of(temperature), actions
            )
            for schedule in (Sequential(), *schedules)
        ]


def assert_same(guessed: Continuation, true: Continuation) -> None:
    """Equal videos with equal probabilities, in no more passes than pixels."""
    assert (guessed.video == true.video).all()
    assert np.allclose(guessed.nll, true.nll, rtol=1e-5, atol=1e-5)
    assert (true.passes == true.pixels).all()
    assert (guessed.passes <= true.passes).all()
