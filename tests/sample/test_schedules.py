"""Which schedule makes samples, on which machine."""

import pytest

from svtcli.failure import Refused
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Sample
from svtcli.sample.schedules import Accelerator, Cpu, machine_of, schedule_of
from svtcli.sample.sequential import Sequential


def test_a_schedule_that_is_asked_for_is_taken():
    asked = Sample(schedule="guess", window=7)
    found = schedule_of(asked, Model(), 4)
    assert (found.name, found.window) == ("guess", 7)
    assert schedule_of(Sample(schedule="parallel"), Model(), 4).window is None
    asked = Sample(schedule="sequential")
    assert schedule_of(asked, Model(), 4) == Sequential()


def test_a_slice_that_is_too_large_to_tell_is_refused_to_be_made_in_parallel():
    large = Model(video=(16, 64, 64), s=(1, 1, 1), k=(1, 1, 1))
    with pytest.raises(Refused, match=r"a slice has 65,536 pixels; .* up to 32,768"):
        schedule_of(Sample(schedule="parallel"), large, 1)
    assert schedule_of(Sample(schedule="auto"), large, 16).name != "parallel"


def test_a_machine_is_known_by_what_jax_calls_it():
    assert machine_of("cpu", "cpu", "float32") == Cpu()
    h100 = machine_of("gpu", "NVIDIA H100 80GB HBM3", "bfloat16")
    assert h100 == Accelerator(989.4e12, 3.352e12, itemsize=2)
    assert machine_of("gpu", "NVIDIA H100 80GB HBM3", "float32") != h100
    assert machine_of("rocm", "Instinct", "float32") == Accelerator(
        156e12, 1.555e12, itemsize=4
    )
