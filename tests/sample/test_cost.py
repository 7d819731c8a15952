"""The schedule that is taken to be the fastest."""

import pytest

from svtcli.model.connectivity import LARGEST, connectivity
from svtcli.recipe.model import Model
from svtcli.sample.schedules import (
    PIXELS_PER_PASS,
    WINDOWS,
    Accelerator,
    Cpu,
    fastest,
    pixels_per_pass,
    slice_costs,
)

H100 = Accelerator(flops=989e12, bandwidth=3.35e12, itemsize=2)
PAPER = Model()


def test_an_accelerator_guesses_and_takes_shorter_windows_for_more_videos():
    windows = []
    for batch in (1, 4, 16, 64):
        name, window = fastest(PAPER, batch, H100)
        assert name == "guess"
        windows.append(window)
    assert windows == sorted(windows, reverse=True)
    assert windows[0] > windows[-1]


def test_with_nothing_to_wait_for_the_weights_are_the_floor():
    """One video pixel by pixel, of wide layers: the weights, once for each pixel."""
    wide = Model(de=256, d=2048, na=16, da=128)
    ideal = Accelerator(flops=1e30, bandwidth=1e12, itemsize=2, start=0.0)
    seconds = slice_costs(wide, 1, ideal)["sequential", None]
    layer = 4 * 2048 * 2048 + 2 * 2048 * 2048
    floor = 4096 * wide.decoder_layers * layer * 2 / 1e12
    assert floor < seconds < 1.4 * floor


def test_a_cpu_takes_what_computes_the_fewest_positions():
    assert fastest(PAPER, 16, Cpu()) == ("sequential", None)
    single = Model(video=(4, 48, 48), s=(4, 1, 1), blocks=((1, 8, 8),),
                   decoder_layers=1)  # fmt: skip
    found = connectivity(single)
    assert found.steps * found.widest < 1.3 * 48 * 48
    assert fastest(single, 1, Cpu()) == ("parallel", None)


def test_a_slice_that_is_too_large_to_tell_is_not_made_in_parallel():
    large = Model(video=(16, 64, 64), s=(1, 1, 1), k=(1, 1, 1))
    assert LARGEST < 16 * 64 * 64
    assert {name for name, _ in slice_costs(large, 1, H100)} == {"sequential", "guess"}


def test_a_window_is_not_wider_than_the_slice():
    tiny = Model(video=(4, 8, 8), s=(2, 2, 2))
    assert [window for name, window in slice_costs(tiny, 1, H100) if window] == [16, 32]


@pytest.mark.parametrize("window", WINDOWS)
def test_wider_windows_make_more_pixels_but_fewer_of_those_they_compute(window):
    assert 1 < pixels_per_pass(window) < window
    assert pixels_per_pass(2 * window) >= pixels_per_pass(window)
    assert pixels_per_pass(window) == pytest.approx(
        PIXELS_PER_PASS.get(window, pixels_per_pass(window))
    )
