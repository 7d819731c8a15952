"""The same videos continued by several schedules, and what makes two of them equal."""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np

from svtcli.recipe.model import Model
from svtcli.sample.jacobi import guess_slice
from svtcli.sample.noise import row_keys
from svtcli.sample.sampler import Continuation, MakeSlice, Sampler
from svtcli.sample.sampling_rule import Choice
from svtcli.sample.sequential import sample_slice
from tests.tiny import network_of


def guess(window: int) -> MakeSlice:
    """Guess and verify with that window."""
    return partial(guess_slice, window=window)


def continuations(
    config: Model,
    schedules: Sequence[MakeSlice],
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
            Sampler(config, *parts, make_slice).continue_video(
                video, 1, 1, keys, Choice.of(temperature), actions
            )
            for make_slice in (sample_slice, *schedules)
        ]


def assert_same(guessed: Continuation, true: Continuation) -> None:
    """Equal videos with equal probabilities, in no more passes than pixels."""
    assert (guessed.video == true.video).all()
    assert np.allclose(guessed.nats, true.nats, rtol=1e-5, atol=1e-5)
    assert (true.passes == true.pixels).all()
    assert (guessed.passes <= true.passes).all()
