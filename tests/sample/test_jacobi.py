"""Fixed-point sampling: the samples of one pixel at a time, in fewer passes."""

import pytest

from svtcli.recipe.model import Dilated, Model
from svtcli.sample.jacobi import Jacobi
from tests.sample.continued import assert_same, continuations
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
    [
        pytest.param(WIDE, 32, marks=pytest.mark.slow),
        (APART, 4),
        (APART, 8),
        (VARIANTS["deterministic"], 3),
    ],
    ids=["long runs", "short windows", "two runs", "deterministic"],
)
def test_fixed_point_sampling_gives_the_same_samples(config, window):
    true, guessed = continuations(config, [Jacobi(window)])
    assert_same(guessed, true)
    assert (guessed.passes < true.passes).any()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", [WIDE, *VARIANTS.values()], ids=["wide", *VARIANTS])
def test_samples_do_not_depend_on_the_window(config, dtype):
    schedules = [Jacobi(window) for window in (1, 3, 16, 10**6)]
    for temperature in (0.0, 1.0):
        true, *guessed = continuations(config, schedules, dtype, temperature)
        for each in guessed:
            assert_same(each, true)
        assert (guessed[0].passes == true.passes).all()  # a window of one pixel
