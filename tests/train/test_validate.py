"""Scores on held-out clips while a run is trained."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.evaluate.plan import plan_likelihood
from svtcli.evaluate.stage import evaluate
from svtcli.failure import Refused, Stopped
from svtcli.model import likelihood
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train import validate as module
from svtcli.train.commit_record import open_checkpoint
from svtcli.train.plan import plan_training
from svtcli.train.stage import Trained, train
from tests.train import tiny_run
from tests.train.test_train import Notes, losses

pytestmark = pytest.mark.usefixtures("kept_programs")

EVERY_FOUR = ("train.validate_every=4", "train.validate_clips=3", "train.save_every=4")
Train = Callable[..., Trained]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    clips = tiny_run.write_clips(tmp_path / "clips", held_out=("test", "val"))
    return tiny_run.write_recipe(tmp_path, clips)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "tiny")


@pytest.fixture
def trained(recipe: Path, run: RunFolder, notes: Notes) -> Train:
    def trained(
        *overrides: str, stop_at: int | None = None, folder: RunFolder = run
    ) -> Trained:
        return train(tiny_run.loaded(recipe, *overrides), folder, notes, stop_at)

    return trained


def validations(run: RunFolder) -> dict[int | float, float]:
    return {
        row["step"]: row["validation_bits_per_dim"]
        for row in read_metrics(run.metrics)
        if "validation_bits_per_dim" in row
    }


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(["train.ema=0"], marks=pytest.mark.slow),
        ["train.ema=0.5", "eval.precision=bfloat16"],
    ],
    ids=["parameters in float32", "average in bfloat16"],
)
def test_a_validation_score_is_that_of_svt_eval(
    trained: Train, run: RunFolder, notes: Notes, settings: list[str]
) -> None:
    result = trained(*EVERY_FOUR, "eval.batch=2", *settings)
    scores = validations(run)
    assert list(scores) == [4, 8, 12]
    for step in run.steps():
        checkpoint = open_checkpoint(run, step)
        same = replace(checkpoint.recipe.eval, split="val", clips=3)
        evaluation = evaluate(plan_likelihood(checkpoint, same), Silent())
        assert evaluation.rows[0].mean == pytest.approx(scores[step], abs=1e-6)
    assert result.validation == scores[12]
    assert f"step 8: validation (val) {scores[8]:.3f} bits/dim" in notes.lines


def test_neither_validation_nor_resuming_changes_the_training(
    trained: Train, run: RunFolder, tmp_path: Path
) -> None:
    without = RunFolder(tmp_path / "runs" / "without")
    trained(folder=without)
    for stop_at in (4, 7, 12):
        trained(*EVERY_FOUR, stop_at=stop_at)
    assert losses(run) == losses(without)
    straight = RunFolder(tmp_path / "runs" / "straight")
    trained(*EVERY_FOUR, folder=straight)
    assert validations(run) == validations(straight)


def test_the_scorer_is_compiled_once(trained: Train) -> None:
    likelihood._scored_nll.clear_cache()
    trained(*EVERY_FOUR, "train.validate_every=2")
    assert likelihood._scored_nll._cache_size() == 1


@pytest.mark.parametrize(
    ("splits", "override", "taken"),
    [
        (("test", "val"), "train.validate_split=null", "val"),
        (("other", "test"), "train.validate_split=null", "test"),
        (("other", "last"), "train.validate_split=null", "other"),
        (("test", "val"), "train.validate_split=test", "test"),
    ],
)
def test_val_is_the_preferred_split(
    recipe: Path, run: RunFolder, tmp_path: Path, splits, override, taken
) -> None:
    clips = tiny_run.write_clips(tmp_path / "others", held_out=splits)
    where = f"data.clips={clips}"
    loaded = tiny_run.loaded(recipe, where, override, "train.validate_every=4")
    plan = plan_training(loaded, run).validation
    assert plan is not None
    assert plan.clips.split == taken


@pytest.mark.parametrize(
    ("splits", "override", "why"),
    [
        ((), "train.validate_split=null", "has no held-out split"),
        (("val",), "train.validate_split=test", "no split 'test'; it has train, val"),
        (("test",), "eval.frames=9", "no clip of split test has 9 frames"),
    ],
)
def test_clips_that_cannot_be_scored_are_refused_before_the_first_step(
    trained: Train, run: RunFolder, tmp_path: Path, splits, override, why
) -> None:
    clips = tiny_run.write_clips(tmp_path / "others", held_out=splits)
    with pytest.raises(Refused, match=why):
        trained(f"data.clips={clips}", override, "train.validate_every=4")
    assert not run.path.exists()


def signal_while_scoring(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """SIGTERM at the second slice; one element for each slice that was scored."""
    slices: list[int] = []

    def score_clips(*given):
        *rest, on_slice, devices = given

        def signalled() -> None:
            slices.append(1)
            if len(slices) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            on_slice()

        return scored(*rest, signalled, devices)

    scored = module.score_clips
    monkeypatch.setattr(module, "score_clips", score_clips)
    return slices


def test_a_signal_during_validation_stops_at_once_with_everything_saved(
    trained: Train, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = signal_while_scoring(monkeypatch)
    with pytest.raises(Stopped, match="step 2 is saved") as stopped:
        trained("train.validate_every=2")
    assert stopped.value.code == 75
    assert len(slices) == 2
    assert run.steps() == (2,)
    assert validations(run) == {}


def test_a_last_score_cut_short_is_taken_by_the_next_call(
    trained: Train, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        signal_while_scoring(patch)
        with pytest.raises(Stopped, match="step 4 is saved"):
            trained("train.validate_every=4", "train.steps=4")
    assert validations(run) == {}
    ended = trained("train.validate_every=4", "train.steps=4")
    assert validations(run) == {4: ended.validation}
    assert trained("train.validate_every=4", "train.steps=4") == ended
