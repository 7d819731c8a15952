"""Scores and pictures of a run, and what is sent of them."""

import os
import shutil

import pytest
from tensorboardX.proto.event_pb2 import Event

from svtcli.prepare.sources.tfrecord import read_records
from svtcli.project.showing import send_results, showing
from svtcli.run.directory import RunFolder
from svtcli.run.progress import Silent
from tests.cli.terminal import svt_here
from tests.train.wandb_files import rows

FILES = ["samples.gif", "strip.png"]


@pytest.fixture
def run(place, monkeypatch) -> RunFolder:
    """A run with samples, scores and pictures."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return RunFolder(place / "runs" / "mine")


def test_scores_and_pictures_are_sent_once(run, capfd) -> None:
    """In the order of a person, who names the services after the training."""
    log, formats = "train.log=[tensorboard,wandb]", "render.formats=[png,gif]"
    said = svt_here(capfd, "run", "mine.yaml", log, formats)
    assert said.code == 0, said.err
    assert "wandb sync" in said.err
    shown = showing(run, 3)
    assert list(shown.scores) == ["test.bits_per_dim"]
    assert [path.name for path in shown.pictures] == FILES
    (file,) = run.wandb.glob("*/*.wandb")
    scores, *pictures = rows(file)
    assert scores == {"step": 3, **shown.scores}
    assert [{*each} - {"step"} for each in pictures] == [{"samples"}, {"strip"}]
    assert pictures[0]["samples"]["_type"] == "video-file"
    (board,) = run.tensorboard.iterdir()
    tags = [
        value.tag
        for record in read_records(board)
        for value in Event.FromString(record).summary.value
    ]
    assert tags == ["test.bits_per_dim", "samples", "strip"]
    assert svt_here(capfd, "run", "mine.yaml", log, formats).code == 0
    assert len([*run.wandb.glob("*/*.wandb")]) == len([*run.tensorboard.iterdir()]) == 1


def test_of_another_step_and_of_a_run_without_any_there_is_nothing(run) -> None:
    assert showing(run, 2).pictures == ()
    assert showing(run, 2).scores == {}
    before = {path.name for path in run.path.iterdir()}
    send_results(run, Silent())  # its recipe names no service
    send_results(run, Silent(), ("tensorboard",))  # and there is nothing to send
    shutil.rmtree(run.checkpoints)
    send_results(run, Silent(), ("tensorboard",))
    assert {path.name for path in run.path.iterdir()} == before - {"checkpoints"}
