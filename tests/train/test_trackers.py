"""What TensorBoard and Weights & Biases show of a run."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from svtcli.failure import Refused
from svtcli.prepare.sources.tfrecord import read_records
from svtcli.run.directory import RunFolder
from svtcli.run.distribution import install_command
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train import trackers
from svtcli.train.stage import train
from svtcli.train.trackers import TensorBoard, open_trackers
from svtcli.video.encode import write_gif
from tests.train import tiny_run
from tests.train.wandb_files import records, rows

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
    trained("train.log=[tensorboard]", "train.log_every=5")
    (only,) = events(run.tensorboard)
    assert only[0].file_version == "brain.Event:2"
    read = scalars(only)
    rows = read_metrics(run.metrics)
    wanted = {
        (r["step"], k): r[k] for r in rows for k in r if k not in ("step", "time")
    }
    assert read == pytest.approx(wanted, rel=1e-6)


def test_a_resumed_run_appends_and_retracts_repeated_steps(trained, run) -> None:
    trained("train.log=[tensorboard]", stop_at=3)
    trained("train.log=[tensorboard]", stop_at=5)
    first, second = events(run.tensorboard)
    assert {step for step, _ in scalars(first)} == {1, 2, 3}
    assert {step for step, _ in scalars(second)} == {4, 5}
    starts = [e.step for e in second if e.session_log.status == SessionLog.START]
    assert starts == [4]
    trained("train.log=[tensorboard]", stop_at=1, fresh=True)
    assert len(events(run.tensorboard)) == 1
    assert len(events(run.path / "earlier" / "1" / "tensorboard")) == 2


def test_non_finite_values_are_left_out(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "board")
    board.append(1, loss=math.nan, rate=2.0)
    board.close()
    (only,) = events(tmp_path / "board")
    assert scalars(only) == {(1, "rate"): 2.0}


def test_no_file_is_written_by_default(trained, run) -> None:
    trained(stop_at=1)
    assert not run.tensorboard.exists()


def test_pictures_are_shown_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "samples.gif"
    frames = np.zeros((2, 6, 8, 3), np.uint8)
    write_gif(file, [*frames, frames[0] + 200], 10.0)
    board = TensorBoard(tmp_path / "board")
    board.picture(7, file)
    board.close()
    (only,) = events(tmp_path / "board")
    (value,) = only[-1].summary.value
    assert (only[-1].step, value.tag) == (7, "samples")
    assert (value.image.width, value.image.height) == (8, 6)
    assert value.image.encoded_image_string == file.read_bytes()


@pytest.mark.parametrize(
    ("extra", "package"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")]
)
def test_a_missing_extra_is_refused_before_the_first_step(
    trained, run, monkeypatch: pytest.MonkeyPatch, extra: str, package: str
) -> None:
    known = trackers.find_spec
    monkeypatch.setattr(
        trackers, "find_spec", lambda name: None if name == package else known(name)
    )
    with pytest.raises(Refused, match=f"{package} is not installed") as refused:
        trained(f"train.log=[{extra}]")
    assert install_command(extra) in str(refused.value.hint)
    assert not run.path.exists()


def test_the_key_of_earlier_recipes_is_read(tmp_path: Path) -> None:
    recipe = tiny_run.write_recipe(tmp_path, tmp_path / "clips")

    def log(*overrides: str) -> tuple[str, ...]:
        return tiny_run.loaded(recipe, *overrides).recipe.train.log

    assert log("train.tensorboard=true") == ("tensorboard",)
    assert log("train.tensorboard=false") == ()
    both = ("train.log=[wandb]", "train.tensorboard=true")
    assert log(*both) == ("tensorboard", "wandb")
    for wrong in ("train.tensorboard=7", "train.log=wandb", "train.log=[tensorbord]"):
        with pytest.raises(Refused, match=r"train\.(log|tensorboard)"):
            log(wrong)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No login, and nothing of this machine's settings of wandb."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    import wandb

    wandb.teardown()


def test_wandb_gets_config_and_rows_and_a_resumed_run_is_the_same_one(
    trained, run, offline
) -> None:
    trained("train.log=[wandb]", stop_at=2)
    trained("train.log=[wandb]", stop_at=4)
    first, second = sorted(run.wandb.glob("offline-run-*/*.wandb"))
    assert first.name == second.name
    begun = next(r.run for r in records(first) if r.WhichOneof("record_type") == "run")
    config = {item.key: json.loads(item.value_json) for item in begun.config.update}
    assert (begun.display_name, begun.project) == ("tiny", "svt")
    assert (config["train.batch"], config["run.seed"]) == (4, 0)
    logged = [*rows(first), *rows(second)]
    assert [row["step"] for row in logged] == [1, 2, 3, 4]
    wanted = read_metrics(run.metrics)
    assert [row["loss"] for row in logged] == [row["loss"] for row in wanted]
    trained("train.log=[wandb]", stop_at=1, fresh=True)
    (anew,) = run.wandb.glob("offline-run-*/*.wandb")
    assert anew.name != first.name


class Broken:
    """The module wandb: online it has no login, and offline no room for rows."""

    class errors:  # noqa: N801
        class Error(Exception):
            pass

    Settings = SimpleNamespace

    def __init__(self) -> None:
        self.begun: list[dict] = []
        self.finished: list[int] = []

    def init(self, **settings: object) -> Any:
        self.begun.append(settings)
        if "mode" not in settings:
            raise self.errors.Error("No API key configured.\nUse `wandb login`")
        return SimpleNamespace(
            offline=True,
            dir="runs/a run/wandb/offline-run-1/files",
            define_metric=lambda *a, **k: None,
            log=self.log,
            finish=lambda exit_code: self.finished.append(exit_code),
        )

    def log(self, row: dict) -> None:
        if row["step"] == 2:
            raise OSError("no room")


def test_without_a_login_it_is_written_offline_and_no_failure_ends_a_training(
    trained, run, monkeypatch
) -> None:
    trained(stop_at=1)  # its facts are the configuration
    broken, notes = Broken(), list[str]()
    broken.Settings = lambda **settings: SimpleNamespace(project="mine")
    monkeypatch.setitem(sys.modules, "wandb", broken)
    with open_trackers(run, ["wandb"], notes.append) as (tracker,):
        for step in (1, 2, 3):
            tracker.append(step, loss=1.0)
    with (
        pytest.raises(Refused),
        open_trackers(run, ["wandb"], notes.append) as (tracker,),
    ):
        raise Refused("stopped")
    assert notes[:3] == [
        "wandb: No API key configured.; written offline",
        "wandb is offline; to upload: wandb sync 'runs/a run/wandb/offline-run-1'",
        "wandb failed, and gets nothing more of this run: no room",
    ]
    assert len({begun["id"] for begun in broken.begun}) == 1
    assert broken.begun[0]["project"] == "mine"
    assert broken.finished == [1]  # of the second; the first had failed
