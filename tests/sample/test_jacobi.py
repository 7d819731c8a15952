"""Guess and verify: the samples that one pixel at a time gives, in fewer passes."""

from functools import partial

import pytest

from svtcli.model.blocks import Blocks
from svtcli.recipe.model import Dilated, Model
from svtcli.sample.jacobi import guess_slice
from svtcli.sample.parallel import sample_slice_in_steps
from tests.sample.continued import assert_same, continuations, guess
from tests.tiny import GRAY, SMALL, VARIANTS

WIDE = Model(
    video=(4, 2, 16), s=(2, 1, 1), blocks=((2, 2, 4), (1, 1, 16), Dilated((1, 2, 4))),
    **{**SMALL, "encoder_layers": 1}, **GRAY,
)  # fmt: skip
"""Wide enough for runs: of 8 positions, 2, 1 and 4 blocks of its layers in each."""

APART = Model(
    video=(2, 8, 16), s=(1, 1, 1), blocks=((1, 1, 4),), masked_kernel=(1, 3, 3),
    **{**SMALL, "encoder_layers": 1, "decoder_layers": 1}, **GRAY,
)  # fmt: skip
"""A line does not depend on the end of the one above, so one pass may make both final
though it has guessed both wrong."""


@pytest.mark.parametrize(
    ("config", "window"),
    [(WIDE, 32), (APART, 4), (APART, 8), (VARIANTS["deterministic"], 3)],
    ids=["long runs", "short windows", "two runs", "deterministic"],
)
def test_guesses_that_are_verified_give_the_same_samples(config, window):
    true, guessed = continuations(config, [guess(window)])
    assert_same(guessed, true)
    assert (guessed.passes < true.passes).any()


@pytest.mark.parametrize("block", [(2, 2, 4), Dilated((1, 2, 1))], ids=str)
def test_the_fused_kernel_gives_the_same_samples(block):
    tiles = Model(
        video=(4, 4, 8), s=(2, 1, 2), blocks=(block,), **{**SMALL, "da": 16}, **GRAY
    )
    assert {each.length for each in decoder_blocks(tiles)} == {16}
    fused = partial(guess_slice, window=8, fused=True)
    true, guessed, stepped = continuations(
        tiles, [fused, partial(sample_slice_in_steps, fused=True)]
    )
    for each in (guessed, stepped):
        assert_same(each, true)
        assert (each.passes < true.passes).any()


def decoder_blocks(config: Model) -> list[Blocks]:
    """Of its layers."""
    blocks = config.layer_blocks(config.decoder_layers)
    return [Blocks.of(each, config.slice_shape) for each in blocks]


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
