"""Scores and pictures of a run, and what is sent of them."""

import os
import shutil

import pytest
from tensorboardX.proto.event_pb2 import Event

from svtcli.evaluate.results import TRAINED, LikelihoodResult, ModelScore, write_result
from svtcli.prepare.sources.tfrecord import read_records
from svtcli.project.showing import Showing, send_results, showing
from svtcli.run.directory import RunFolder
from svtcli.run.progress import Silent
from tests.cli.made_up_runs import RECIPE, make_run, write_recipe
from tests.cli.terminal import svt_here
from tests.train.wandb_files import rows

FILES = ["samples.gif", "strip.png"]


SCORE = LikelihoodResult(
    *("a", 300, "bits_per_dim", "clips", "test"),
    *(2, 2, 7, 2, (ModelScore(TRAINED, 3.25, 0.1, (3.25,)),), None, ""),
)


@pytest.fixture
def run(tmp_path, monkeypatch) -> RunFolder:
    """A run with a checkpoint, samples and a score, made without training."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("WANDB_", "SVT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = RunFolder(make_run("a", "300"))
    (run.checkpoints / "300").mkdir(parents=True)
    write_result(run.eval / "test.json", SCORE)
    return run


def test_scores_and_pictures_are_sent_once(run, capfd) -> None:
    write_recipe(run.path, f"{RECIPE}train: {{log: [tensorboard, wandb]}}\n")
    draw = ("render", "a", "--format", "png", "--format", "gif")
    said = svt_here(capfd, *draw)
    assert said.code == 0, said.err
    assert "wandb sync" in said.err
    shown = showing(run, 300)
    assert shown.scores == {"test.bits_per_dim": 3.25}
    assert [path.name for path in shown.pictures] == FILES
    (file,) = run.wandb.glob("offline-run-*/*.wandb")
    scores, *pictures = rows(file)
    assert scores == {"step": 300, **shown.scores}
    kinds = [
        (name, each[name])
        for each in pictures
        for name in each
        if name.endswith("_type")
    ]
    assert kinds == [("samples/_type", "video-file"), ("strip/_type", "image-file")]
    (board,) = run.tensorboard.iterdir()
    tags = [
        value.tag
        for record in read_records(board)
        for value in Event.FromString(record).summary.value
    ]
    assert tags == ["test.bits_per_dim", "samples", "strip"]
    assert svt_here(capfd, *draw).code == 0
    assert (
        len([*run.wandb.glob("offline-run-*/*.wandb")])
        == len([*run.tensorboard.iterdir()])
        == 1
    )


def test_of_another_step_and_of_a_run_without_any_there_is_nothing(run) -> None:
    assert showing(run, 10) == Showing(10, {}, ())
    before = {path.name for path in run.path.iterdir()}
    send_results(run, Silent())  # its recipe names no service
    (run.checkpoints / "400").mkdir()
    send_results(run, Silent(), ("tensorboard",))  # there is nothing of this step
    shutil.rmtree(run.checkpoints)
    send_results(run, Silent(), ("tensorboard",))
    assert {path.name for path in run.path.iterdir()} == before - {"checkpoints"}
