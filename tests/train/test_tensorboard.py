"""What TensorBoard reads of a run."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from svtcli.failure import Refused
from svtcli.prepare.sources.tfrecord import read_records
from svtcli.run.directory import RunFolder
from svtcli.run.distribution import install_command
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train.stage import train
from svtcli.train.step_log import TensorBoard
from tests.train import tiny_run

pytestmark = pytest.mark.usefixtures("kept_programs")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "tiny")


@pytest.fixture
def trained(tmp_path: Path, run: RunFolder) -> Callable[..., None]:
    recipe = tiny_run.write_recipe(tmp_path, tiny_run.write_clips(tmp_path / "clips"))

    def trained(
        *overrides: str, stop_at: int | None = None, fresh: bool = False
    ) -> None:
        train(tiny_run.loaded(recipe, *overrides), run, Silent(), stop_at, fresh)

    return trained


def events(folder: Path) -> list[list[Event]]:
    """The events of each file, in the order of the files."""
    files = sorted(folder.iterdir(), key=lambda file: int(file.suffix[1:]))
    return [[Event.FromString(record) for record in read_records(f)] for f in files]


def scalars(of: list[Event]) -> dict[tuple[int, str], float]:
    return {
        (event.step, value.tag): value.simple_value
        for event in of
        for value in event.summary.value
    }


def test_the_event_file_equals_the_log(trained, run) -> None:
    trained("train.tensorboard=true", "train.log_every=5")
    (only,) = events(run.tensorboard)
    assert only[0].file_version == "brain.Event:2"
    read = scalars(only)
    rows = read_metrics(run.metrics)
    wanted = {
        (r["step"], k): r[k] for r in rows for k in r if k not in ("step", "time")
    }
    assert read == pytest.approx(wanted, rel=1e-6)


def test_a_resumed_run_appends_and_retracts_repeated_steps(trained, run) -> None:
    trained("train.tensorboard=true", stop_at=3)
    trained("train.tensorboard=true", stop_at=5)
    first, second = events(run.tensorboard)
    assert {step for step, _ in scalars(first)} == {1, 2, 3}
    assert {step for step, _ in scalars(second)} == {4, 5}
    starts = [e.step for e in second if e.session_log.status == SessionLog.START]
    assert starts == [4]
    trained("train.tensorboard=true", stop_at=1, fresh=True)
    assert len(events(run.tensorboard)) == 1
    assert len(events(run.path / "earlier" / "1" / "tensorboard")) == 2


def test_non_finite_values_are_left_out(tmp_path: Path) -> None:
    with TensorBoard(tmp_path / "board") as board:
        board.append(1, loss=math.nan, rate=2.0)
    (only,) = events(tmp_path / "board")
    assert scalars(only) == {(1, "rate"): 2.0}


def test_no_file_is_written_by_default(trained, run) -> None:
    trained(stop_at=1)
    assert not run.tensorboard.exists()


def test_a_missing_extra_is_refused_before_the_first_step(
    trained, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(Refused, match="tensorboardX is not installed") as refused:
        trained("train.tensorboard=true")
    assert install_command("tensorboard") in str(refused.value.hint)
    assert not run.path.exists()
