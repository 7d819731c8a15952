"""Estimated time of a training, and the hardware that a recipe's header asks for."""

import pytest

from svtcli.recipe.load import load_recipe, read_needs, shipped_recipes
from svtcli.run.progress import about
from svtcli.train import duration
from svtcli.train.duration import forecast, seconds_per_step


def test_a_long_training_is_told_in_years_with_the_hardware_of_the_header():
    needs = read_needs(shipped_recipes()["bair_large"])
    told = forecast(3e10, 1_000_000, "cpu", 5 * 10**9, 2 * 10**9, needs)
    assert told == (
        "about 950 years for 1,000,000 steps on cpu; the recipe's header asks for "
        "8 GPUs of 80 GB for about 2.5 days; weights + optimizer state alone need 5 GB "
        "a device, which has 2 GB"
    )
    assert (
        forecast(600.0, 550, "cpu", 1, 2, needs, measured=True)
        == "about 10 min for 550 steps on cpu, at the speed measured just now"
    )


def test_every_header_names_its_hardware():
    found = {name: read_needs(path) for name, path in shipped_recipes().items()}
    found.pop("bair_ablations")  # names another recipe
    for name, needs in found.items():
        assert needs, name
        assert "GPU" in needs or "GB" in needs or "CPU" in needs, (name, needs)


def test_an_accelerator_is_slower_than_its_data_sheet_and_many_are_faster_than_one():
    recipe = load_recipe("bair_large").recipe
    one = seconds_per_step(recipe.model, recipe.train, ["H100"], "gpu")
    eight = seconds_per_step(recipe.model, recipe.train, ["H100"] * 8, "gpu")
    # The header's 19 days are those of half the peak.
    assert 15 < recipe.train.steps * one / 86400 < 30
    assert one == pytest.approx(8 * eight, rel=0.05)
    assert seconds_per_step(recipe.model, recipe.train, ["Abacus"], "gpu") is None


def test_a_cpu_is_as_fast_as_a_product_that_is_measured_on_it(monkeypatch):
    recipe = load_recipe("quickstart").recipe
    assert duration.cpu_rate() > 1e8
    monkeypatch.setattr(duration, "cpu_rate", lambda: 1e11)
    slow = seconds_per_step(recipe.model, recipe.train, ["cpu"], "cpu")
    monkeypatch.setattr(duration, "cpu_rate", lambda: 2e11)
    fast = seconds_per_step(recipe.model, recipe.train, ["cpu"], "cpu")
    assert 1.5 * fast < slow < 2 * fast


def test_durations_are_said_in_their_unit():
    seconds = (40, 720, 12_600, 19 * 86400, 300 * 86400, 3e10, 1e16)
    assert [about(each) for each in seconds] == [
        *("40 s", "12 min", "3.5 h", "19 days", "300 days", "950 years"),
        "320,000,000 years",
    ]
