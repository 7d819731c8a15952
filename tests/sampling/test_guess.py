"""Guess and verify: the samples that one pixel at a time gives, in fewer passes."""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
import pytest

from svtcli.recipe.model import Dilated, Model
from svtcli.sampling.choice import Choice
from svtcli.sampling.guess import guess_slice
from svtcli.sampling.noise import row_keys
from svtcli.sampling.sampler import Continuation, MakeSlice, Sampler
from svtcli.sampling.sequential import sample_slice
from tests.tiny import GRAY, SMALL, VARIANTS, network_of

WIDE = Model(
    video=(4, 2, 16), s=(2, 1, 1), blocks=((2, 2, 4), (1, 1, 16), Dilated((1, 2, 4))),
    **{**SMALL, "encoder_layers": 1}, **GRAY,
)  # fmt: skip
"""Wide enough for runs: of 8 positions, 2, 1 and 4 blocks of its layers in each."""


def guess(window: int) -> MakeSlice:
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


@pytest.mark.parametrize(
    ("config", "window"),
    [(WIDE, 32), (VARIANTS["deterministic"], 3)],
    ids=["long runs", "deterministic"],
)
def test_guesses_that_are_verified_give_the_same_samples(config, window):
    true, guessed = continuations(config, [guess(window)])
    assert_same(guessed, true)
    assert (guessed.passes < true.passes).any()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", [WIDE, *VARIANTS.values()], ids=["wide", *VARIANTS])
def test_the_window_changes_no_sample(config, dtype):
    schedules = [guess(window) for window in (1, 3, 16, 10**6)]
    for temperature in (0.0, 1.0):
        true, *guessed = continuations(config, schedules, dtype, temperature)
        for each in guessed:
            assert_same(each, true)
        assert (guessed[0].passes == true.passes).all()  # a window of one pixel
