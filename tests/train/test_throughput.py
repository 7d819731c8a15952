from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from svtcli.model.flops import training_flops
from svtcli.recipe.schema import Train
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train import step_log as module
from svtcli.train.stage import train
from svtcli.train.step_log import Throughput, throughput_of
from tests.tiny import VARIANTS
from tests.train.tiny_run import loaded, write_clips, write_recipe

pytestmark = pytest.mark.usefixtures("kept_programs")


def ticking(*times: float) -> Callable[[], float]:
    clock = iter(times)
    return lambda: next(clock)


def test_waiting_for_batches_is_a_share_of_the_time() -> None:
    throughput = Throughput(4, clock=ticking(0, 1, 3, 8, 8))
    with throughput.waiting():
        pass
    throughput.step()
    assert throughput.read()["input_wait"] == 2 / 8


def test_a_pause_is_excluded() -> None:
    throughput = Throughput(4, clock=ticking(0, 1, 91, 95, 95))
    with throughput.paused():
        pass
    for _ in range(10):
        throughput.step()
    assert throughput.read()["steps_per_second"] == 10 / 5


def test_each_reading_restarts_the_counter() -> None:
    throughput = Throughput(4, clock=ticking(0, 1, 1, 5, 5))
    throughput.step()
    assert throughput.read()["slices_per_second"] == 4
    throughput.step()
    assert throughput.read()["slices_per_second"] == 1


def test_mfu_is_reported_only_for_a_known_chip() -> None:
    known = Throughput(4, 3e9, 12e9, clock=ticking(0, 2, 2))
    known.step()
    row = known.read()
    assert row["model_flops_per_second"] == 1.5e9
    assert row["mfu"] == pytest.approx(0.125)
    assert known.facts() == {"slices/s": "2", "MFU": "12.5%"}

    unknown = Throughput(4, 3e9, None, clock=ticking(0, 2, 2))
    assert unknown.facts() == {}
    unknown.step()
    row = unknown.read()
    assert row["model_flops_per_second"] == 1.5e9
    assert "mfu" not in row
    assert unknown.facts() == {"slices/s": "2"}


H100 = "NVIDIA H100 80GB HBM3"
MODEL = VARIANTS["spatiotemporal"]
TRAIN = Train(batch=8, precision="bfloat16")


def test_mfu_divides_the_flops_of_the_global_batch_by_the_peak_of_all_devices() -> None:
    one, eight = (throughput_of(MODEL, TRAIN, [H100] * count) for count in (1, 8))
    assert one.peak == 989.4e12
    assert eight.peak == pytest.approx(8 * 989.4e12)
    assert one.flops == eight.flops == training_flops(MODEL, 8)
    precise = throughput_of(MODEL, replace(TRAIN, precision="float32"), [H100])
    assert precise.peak == 494.7e12


def test_recomputation_does_not_count_as_model_flops() -> None:
    plain = throughput_of(MODEL, TRAIN, [H100])
    for change in ({"remat": True}, {"accumulate": 4}, {"ema": 0.9}):
        other = throughput_of(MODEL, replace(TRAIN, **change), [H100])
        assert (other.flops, other.peak) == (plain.flops, plain.peak)


@pytest.mark.parametrize("kinds", [["cpu"], ["cpu"] * 8, [H100, "Gadget 7"], []])
def test_unknown_devices_have_no_peak(kinds: list[str]) -> None:
    assert throughput_of(MODEL, TRAIN, kinds).peak is None


class Facts(Silent):
    """Remembers what stands beside the bar."""

    def __init__(self) -> None:
        self.said: list[dict[str, str]] = []

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        self.said.append(dict(facts or {}))


@pytest.mark.parametrize("known", [True, False])
def test_log_and_progress_bar_show_mfu_of_a_known_chip_only(
    known: bool, tmp_path, monkeypatch
) -> None:
    if known:
        monkeypatch.setattr(module, "total_peak_flops", lambda kinds, precision: 1e15)
    recipe = write_recipe(tmp_path, write_clips(tmp_path / "clips"))
    run, facts = RunFolder(tmp_path / "run"), Facts()
    train(loaded(recipe, "train.steps=4", "train.log_every=2"), run, facts)
    rows = [row for row in read_metrics(run.metrics) if "loss" in row]
    assert [row["step"] for row in rows] == [2, 4]
    for row in rows:
        assert row["model_flops_per_second"] > 0
        if known:
            share = row["model_flops_per_second"] / 1e15
            assert row["mfu"] == pytest.approx(share)
        else:
            assert "mfu" not in row
    assert {"slices/s"} <= set(facts.said[-1])
    assert ("MFU" in facts.said[-1]) == known
