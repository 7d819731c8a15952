import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from jax.profiler import ProfileData

from svtcli.failure import Refused, Stopped
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train import step_log as module
from svtcli.train.stage import train
from tests.train import tiny_run

pytestmark = pytest.mark.usefixtures("kept_programs")


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "tiny")


@pytest.fixture
def trained(tmp_path: Path, run: RunFolder, notes: Notes) -> Callable[..., None]:
    recipe = tiny_run.write_recipe(tmp_path, tiny_run.write_clips(tmp_path / "clips"))

    def trained(profile: int, stop_at: int | None = None) -> None:
        train(tiny_run.loaded(recipe), run, notes, stop_at, profile=profile)

    return trained


def traces(run: RunFolder) -> list[Path]:
    return list(run.profile.rglob("*.xplane.pb"))


def steps_in(trace: Path) -> list[int]:
    """The numbers of the steps that a trace holds."""
    events = (
        event
        for plane in ProfileData.from_file(str(trace)).planes
        for line in plane.lines
        for event in line.events
        if event.name == "train"
    )
    return sorted(int(dict(event.stats)["step_num"]) for event in events)


def test_a_trace_holds_the_requested_steps(trained, run, notes) -> None:
    trained(2)
    (trace,) = traces(run)
    assert steps_in(trace) == [3, 4]
    assert f"trace of 2 steps: {run.profile}" in notes.lines


def test_no_trace_is_written_by_default(trained, run) -> None:
    trained(0, stop_at=6)
    assert not run.profile.exists()


def test_a_signal_ends_the_trace_and_keeps_it(
    trained, run, notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = module.Profile.before_step

    def before_step(self, state) -> None:
        begin(self, state)
        if int(state["step"]) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(module.Profile, "before_step", before_step)
    with pytest.raises(Stopped, match="step 5 is saved"):
        trained(6)
    assert len(traces(run)) == 1
    assert f"trace of 2 steps: {run.profile}" in notes.lines


def test_more_steps_than_are_left_are_refused(trained, run) -> None:
    with pytest.raises(Refused, match="only 12 steps left") as refused:
        trained(10)
    assert refused.value.hint == "ask for at most 9"
    assert not run.path.exists()
    trained(0)
    with pytest.raises(Refused, match="only 0 steps left"):
        trained(1)
    assert read_metrics(run.metrics)
