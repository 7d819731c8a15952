"""Samples do not depend on the number of devices; each advances at its own pace."""

import pytest

from tests.tiny import VARIANTS
from tests.train.on_devices import on_devices

WORKER = "tests.sample.devices_worker"


def check(made: dict, devices: int, programs: int, within: float) -> None:
    assert made["devices"] == devices
    assert (made["pixels"], made["passes"]) == (0, 0)
    assert made["nll"] <= within
    assert made["programs"] == programs


def test_samples_are_the_same_on_two_devices():
    (made,), _ = on_devices(2, WORKER, "float64", "slight, actions=guess")
    check(made, 2, programs=1, within=0)
    assert made["paces"] > 1  # videos differ in how well they are guessed


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_model_samples_the_same_on_four_devices(name, precision):
    words = [f"{name}={schedule}" for schedule in ("sequential", "parallel", "guess")]
    results, _ = on_devices(4, WORKER, precision, *words)
    for made in results:
        programs = 1 + (name == "first slice decoder")
        check(made, 4, programs, within=0 if precision == "float64" else 1e-4)
