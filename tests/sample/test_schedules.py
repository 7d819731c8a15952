"""Choice of a schedule by the settings and the machine."""

from dataclasses import replace

import pytest

from svtcli.failure import Refused
from svtcli.model.connectivity import LARGEST, connectivity
from svtcli.recipe.load import load_recipe
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Sample
from svtcli.sample.plan import check
from svtcli.sample.schedules import (
    PIXELS_PER_PASS,
    WINDOWS,
    Accelerator,
    Cpu,
    Sequential,
    fastest,
    machine_of,
    pixels_per_pass,
    schedule_of,
    slice_costs,
)


def test_a_schedule_of_the_settings_is_taken():
    asked = Sample(schedule="guess", window=7)
    found = schedule_of(asked, Model(), 4)
    assert (found.name, found.window) == ("guess", 7)
    assert schedule_of(Sample(schedule="parallel"), Model(), 4).window is None
    asked = Sample(schedule="sequential")
    assert schedule_of(asked, Model(), 4) == Sequential()


def test_parallel_is_refused_for_too_large_a_slice():
    large = Model(video=(16, 64, 64), s=(1, 1, 1), k=(1, 1, 1), actions=4)
    recipe = replace(load_recipe("bair_large").recipe, model=large)
    with pytest.raises(Refused, match=r"up to 32,768 pixels, .* slice has 65,536"):
        check(recipe, Sample(schedule="parallel"))
    assert schedule_of(Sample(schedule="auto"), large, 16).name != "parallel"


def test_machines_are_found_by_their_jax_names():
    assert machine_of("cpu", "cpu", "float32") == Cpu()
    h100 = machine_of("gpu", "NVIDIA H100 80GB HBM3", "bfloat16")
    assert h100 == Accelerator(989.4e12, 3.352e12, itemsize=2)
    assert machine_of("gpu", "NVIDIA H100 80GB HBM3", "float32") != h100
    assert machine_of("rocm", "Instinct", "float32") == Accelerator(
        156e12, 1.555e12, itemsize=4
    )


H100 = Accelerator(flops=989e12, bandwidth=3.35e12, itemsize=2)
PAPER = Model()


def test_an_accelerator_takes_shorter_jacobi_windows_for_more_videos():
    windows = []
    for batch in (1, 4, 16, 64):
        name, window = fastest(PAPER, batch, H100)
        assert name == "guess"
        windows.append(window)
    assert windows == sorted(windows, reverse=True)
    assert windows[0] > windows[-1]


def test_the_weights_are_the_floor_of_an_ideal_accelerator():
    """One video pixel by pixel, of wide layers: the weights, once for each pixel."""
    wide = Model(de=256, d=2048, na=16, da=128)
    ideal = Accelerator(flops=1e30, bandwidth=1e12, itemsize=2, start=0.0)
    seconds = slice_costs(wide, 1, ideal)["sequential", None]
    layer = 4 * 2048 * 2048 + 2 * 2048 * 2048
    floor = 4096 * wide.decoder_layers * layer * 2 / 1e12
    assert floor < seconds < 1.4 * floor


def test_a_cpu_takes_the_schedule_with_the_fewest_positions():
    assert fastest(PAPER, 16, Cpu()) == ("sequential", None)
    single = Model(video=(4, 48, 48), s=(4, 1, 1), blocks=((1, 8, 8),),
                   decoder_layers=1)  # fmt: skip
    found = connectivity(single)
    assert found.steps * found.widest < 1.3 * 48 * 48
    assert fastest(single, 1, Cpu()) == ("parallel", None)


def test_auto_does_not_take_parallel_for_too_large_a_slice():
    large = Model(video=(16, 64, 64), s=(1, 1, 1), k=(1, 1, 1))
    assert LARGEST < 16 * 64 * 64
    assert {name for name, _ in slice_costs(large, 1, H100)} == {"sequential", "guess"}


def test_a_window_is_not_wider_than_the_slice():
    tiny = Model(video=(4, 8, 8), s=(2, 2, 2))
    assert [window for name, window in slice_costs(tiny, 1, H100) if window] == [16, 32]


@pytest.mark.parametrize("window", WINDOWS)
def test_wider_windows_finish_more_pixels_but_a_smaller_share(window):
    assert 1 < pixels_per_pass(window) < window
    assert pixels_per_pass(2 * window) >= pixels_per_pass(window)
    assert pixels_per_pass(window) == pytest.approx(
        PIXELS_PER_PASS.get(window, pixels_per_pass(window))
    )
