import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from svtcli.failure import BadData, Failure, Locked, Refused, Stopped, StorageFailed
from svtcli.model.svt import abstract_params
from svtcli.project.copy import copy_run
from svtcli.run import signals
from svtcli.run.directory import RunFolder
from svtcli.run.lock import only_writer
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train import stage as stage
from svtcli.train.checkpoint import restore_params
from svtcli.train.commit_record import latest_step, open_checkpoint
from svtcli.train.stage import Trained, train
from svtcli.train.step import make_update
from tests.train import tiny_run, toy

pytestmark = pytest.mark.usefixtures("kept_programs")

Train = Callable[..., Trained]


class Notes(Silent):
    """Remembers what the stage says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    clips = tiny_run.write_clips(tmp_path / "clips")
    return tiny_run.write_recipe(tmp_path, clips)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "tiny")


@pytest.fixture
def trained(recipe: Path, run: RunFolder, notes: Notes) -> Train:
    def trained(
        *overrides: str,
        stop_at: int | None = None,
        fresh: bool = False,
        folder: RunFolder = run,
    ) -> Trained:
        return train(tiny_run.loaded(recipe, *overrides), folder, notes, stop_at, fresh)

    return trained


def losses(run: RunFolder) -> list[tuple[float, float]]:
    return [(row["step"], row["loss"]) for row in read_metrics(run.metrics)]


def final_params(run: RunFolder, recipe: Path):
    model = tiny_run.loaded(recipe).recipe.model
    return restore_params(run.checkpoints, 12, abstract_params(model))


def without_network(factor: float) -> Callable[..., Any]:
    """A training step whose loss is the sum of some parameters, times `factor`."""

    def update(graphdef, model, train, *_):
        def loss(params, inputs):
            return jax.tree.leaves(params)[0].sum() * factor, jnp.zeros(())

        return make_update(loss, train)

    return update


def break_checkpoint(run: RunFolder, step: int) -> None:
    (run.checkpoints / str(step) / "params" / "_METADATA").write_bytes(b"{}")


def test_a_run_folder_holds_log_recipe_and_checkpoints(
    trained: Train, run: RunFolder
) -> None:
    result = trained()
    rows = read_metrics(run.metrics)
    assert (result.run, result.step) == (run, 12)
    assert result.score == rows[-1]["bits_per_dim"]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert set(rows[0]) == {
        "step",
        "time",
        "loss",
        "bits_per_dim",
        "learning_rate",
        "grad_norm",
        "steps_per_second",
        "slices_per_second",
        "input_wait",
        "model_flops_per_second",
    }
    assert rows[0]["slices_per_second"] == pytest.approx(
        4 * rows[0]["steps_per_second"]
    )
    assert run.steps() == (10, 12)
    assert run.recipe().train.steps == 12
    assert json.loads(run.run_file.read_text())["data_fingerprint"]


def test_multiples_of_keep_every_are_saved_between_two_saves(
    trained: Train, run: RunFolder
) -> None:
    trained("train.keep_every=4", "train.keep=1")
    assert run.steps() == (4, 8, 12)


def test_rows_are_log_every_steps_apart(trained: Train, run: RunFolder) -> None:
    trained("train.log_every=5")
    assert [row["step"] for row in read_metrics(run.metrics)] == [5, 10]


def test_a_resumed_run_equals_an_uninterrupted_one(
    trained: Train, run: RunFolder, recipe: Path, tmp_path: Path
) -> None:
    straight = RunFolder(tmp_path / "runs" / "straight")
    trained(folder=straight)
    for stop_at in (4, 7, 12):
        assert trained(stop_at=stop_at).step == stop_at
    assert losses(run) == losses(straight)
    assert toy.same(final_params(run, recipe), final_params(straight, recipe))


def test_lost_steps_are_trained_again_to_the_same_bits(
    trained: Train, run: RunFolder, recipe: Path, tmp_path: Path
) -> None:
    straight = RunFolder(tmp_path / "runs" / "straight")
    trained(folder=straight)
    trained(stop_at=11)
    shutil.rmtree(run.checkpoints / "11")  # as after a kill: the log is ahead
    trained()
    assert losses(run) == losses(straight)
    assert toy.same(final_params(run, recipe), final_params(straight, recipe))


def test_the_seed_changes_parameters_and_batches(
    trained: Train, run: RunFolder, tmp_path: Path
) -> None:
    other = RunFolder(tmp_path / "runs" / "other")
    trained(stop_at=1)
    trained("train.seed=1", stop_at=1, folder=other)
    assert losses(run) != losses(other)


def test_a_finished_run_says_so_and_does_nothing(
    trained: Train, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained()
    monkeypatch.setattr(stage, "jit_update", None)
    assert trained() == first
    assert "already trained to step 12" in notes.lines[-1]


def test_a_finished_run_with_a_damaged_last_checkpoint_is_finished_again(
    trained: Train, run: RunFolder, notes: Notes
) -> None:
    trained()
    break_checkpoint(run, 12)
    assert trained().step == 12
    assert any("checkpoint 12 is damaged" in line for line in notes.lines)
    assert latest_step(run.checkpoints) == 12


def test_the_reported_step_is_the_one_reached(trained: Train, run: RunFolder) -> None:
    trained()
    break_checkpoint(run, 12)
    assert trained(stop_at=6).step == 10  # of what is left, and past the wish


def test_more_steps_resume_from_the_end(trained: Train, run: RunFolder) -> None:
    trained()
    assert trained("train.steps=15", "train.keep=1", "train.save_every=2").step == 15
    assert run.recipe().train.steps == 15
    assert run.steps() == (15,)


def test_a_changed_recipe_is_refused_with_the_difference(
    trained: Train, run: RunFolder
) -> None:
    trained(stop_at=2)
    before = run.run_file.read_text(), run.recipe_file.read_text()
    with pytest.raises(Refused) as refused:
        trained("train.batch=8", "model.na=1", "sample.count=3")
    assert "model.na: was 2, now 1; train.batch: was 4, now 8" in str(refused.value)
    assert "sample" not in str(refused.value)
    assert "--fresh" in str(refused.value.hint)
    assert (run.run_file.read_text(), run.recipe_file.read_text()) == before


def test_the_end_of_a_cosine_matters(
    trained: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "recipe_update", without_network(1))
    trained("train.schedule=cosine", stop_at=2)
    with pytest.raises(Refused, match=r"train\.steps: was 12, now 20"):
        trained("train.schedule=cosine", "train.steps=20")


WSD = "train.schedule=wsd"
SHORTER = (WSD, "train.steps=8")
LONGER = (WSD, "train.cooldown=3")


@pytest.mark.parametrize("before", [SHORTER, ("train.steps=6",)])
def test_the_end_is_free_until_the_rate_decays(
    trained: Train, run: RunFolder, recipe: Path, tmp_path: Path, before
) -> None:
    """Another end, of a wsd or a constant rate, gives the uninterrupted training."""
    whole = RunFolder(tmp_path / "runs" / "whole")
    trained(*LONGER, folder=whole)
    trained(*before, stop_at=6)
    trained(*LONGER)
    assert losses(run) == losses(whole)
    rates = [row["learning_rate"] for row in read_metrics(run.metrics)]
    assert rates[:10] == [rates[0]] * 10 > rates[10:]
    ours, theirs = final_params(run, recipe), final_params(whole, recipe)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, ours, theirs))


def test_a_decayed_run_keeps_its_end_and_its_copy_does_not(
    trained: Train, run: RunFolder, recipe: Path, tmp_path: Path
) -> None:
    trained(*SHORTER)  # saves step 5, while the rate is constant, and 8
    with pytest.raises(Refused, match=r"train\.steps: was 8, now 12"):
        trained(*LONGER)
    whole, copied = (RunFolder(tmp_path / "runs" / name) for name in ("whole", "new"))
    trained(*LONGER, folder=whole)
    copy_run(open_checkpoint(run, 5), copied)
    assert (copied.steps(), losses(copied)) == ((5,), losses(run)[:5])
    assert trained(*LONGER, folder=copied).step == 12
    assert losses(copied) == losses(whole)


def test_other_clips_are_refused(trained: Train, tmp_path: Path) -> None:
    trained(stop_at=2)
    other = tiny_run.write_clips(tmp_path / "other", seed=1)
    with pytest.raises(Refused, match="other clips"):
        trained(f"data.clips={other}")


def test_fresh_starts_over_and_keeps_the_old(
    trained: Train, run: RunFolder, notes: Notes
) -> None:
    trained(stop_at=6)
    old = run.metrics.read_text()
    for count, overrides in ((1, ("train.seed=1",)), (2, ())):
        trained(*overrides, stop_at=3, fresh=True)
        assert run.steps() == (3,)
        kept = run.path / "earlier" / str(count)
        assert {path.name for path in kept.iterdir()} == {
            "checkpoints",
            "metrics.end.json",
            "metrics.jsonl",
            "recipe.yaml",
            "run.json",
        }
        assert any(str(kept) in line for line in notes.lines)
    assert (run.path / "earlier" / "1" / "metrics.jsonl").read_text() == old
    assert RunFolder(run.path / "earlier" / "1").steps() == (5, 6)


def test_a_run_that_never_saved_may_change_its_recipe(
    trained: Train, run: RunFolder
) -> None:
    trained(stop_at=3)
    shutil.rmtree(run.checkpoints)  # as after a kill before the first save
    trained("train.seed=1", stop_at=1)
    assert [step for step, _ in losses(run)] == [1]
    assert (run.path / "earlier" / "1" / "metrics.jsonl").is_file()


def test_damaged_checkpoints_never_restart_at_zero(
    trained: Train, run: RunFolder
) -> None:
    trained(stop_at=3)
    break_checkpoint(run, 3)
    for _ in range(2):
        with pytest.raises(StorageFailed, match="at step 0"):
            trained()
    with pytest.raises(Refused, match="another recipe"):
        trained("train.seed=1")
    assert trained(stop_at=1, fresh=True).step == 1


def test_a_second_trainer_is_locked_out(trained: Train, run: RunFolder) -> None:
    with only_writer(run.path), pytest.raises(Locked, match="in use by process"):
        trained()
    assert trained(stop_at=1).step == 1


def test_more_steps_than_the_recipe_has_are_refused(trained: Train) -> None:
    with pytest.raises(Refused, match="the recipe has 12 steps") as refused:
        trained(stop_at=13)
    assert "train.steps=13" in str(refused.value.hint)


def test_missing_clips_are_refused_with_the_command_that_prepares_them(
    trained: Train, recipe: Path, run: RunFolder, tmp_path: Path
) -> None:
    nowhere = tmp_path / "no where"
    with pytest.raises(Refused, match="no prepared clips here") as refused:
        trained(f"data.clips={nowhere}")
    assert refused.value.hint == (
        f"prepare them with: svt run {recipe} 'data.clips={nowhere}' --to prepare"
    )
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("clips", "overrides", "why"),
    [
        ({"shape": (4, 8, 3)}, (), r"are 4 by 8, model.video wants 4 by 4"),
        ({"shape": (4, 4, 1)}, (), "frames have 1 channel, model.channels is 3"),
        (
            {"spec": {"fps": 5.0, "source": "elsewhere", "size": 4}},
            ("data.fps=2.5",),
            r"recipe: prepared with fps 5\.0, data\.fps is 2\.5(\n|$)",
        ),
        ({}, ("model.video=[8, 4, 4]",), "5 of 5 clips .* shorter than the 8 frames"),
    ],
)
def test_clips_that_do_not_fit_the_model_are_refused(
    trained: Train,
    run: RunFolder,
    tmp_path: Path,
    clips: dict,
    overrides: tuple[str, ...],
    why: str,
) -> None:
    folder = tiny_run.write_clips(tmp_path / "others", **clips)
    with pytest.raises(Refused, match=why):
        trained(f"data.clips={folder}", *overrides)
    assert not run.path.exists()


def test_actions_that_the_model_does_not_take_are_left_out(
    trained: Train, tmp_path: Path
) -> None:
    folder = tiny_run.write_clips(tmp_path / "acted", actions=2)
    assert trained(f"data.clips={folder}", stop_at=2).step == 2


def test_a_loss_that_stays_non_finite_ends_in_65_with_step_and_clips(
    trained: Train, run: RunFolder, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "recipe_update", without_network(jnp.nan))
    with pytest.raises(BadData, match=r"step 10: the loss .*clips: clip \d") as bad:
        trained()
    assert bad.value.code == 65
    skipped = [line for line in notes.lines if "not finite; skipped" in line]
    assert [line.split(":")[0] for line in skipped] == [
        f"step {n}" for n in range(1, 10)
    ]
    for step in run.steps():
        restore_params(run.checkpoints, step, abstract_params(run.recipe().model))


def test_every_refusal_leaves_no_run_folder_behind(
    trained: Train, run: RunFolder
) -> None:
    for overrides in (("data.clips=nowhere",), ("model.video=[8, 4, 4]",)):
        with pytest.raises(Failure):
            trained(*overrides)
    assert not run.path.exists()


def test_a_signal_while_the_first_step_compiles_finds_nothing_to_resume(
    trained: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiling(*_: object) -> None:
        signals._open[-1].remember(signal.SIGINT)
        raise signals._open[-1].stopped(signals._open[-1].saved)

    monkeypatch.setattr(stage, "jit_update", compiling)
    with pytest.raises(Stopped, match=r"^interrupted; nothing to save yet$") as stopped:
        trained()
    assert stopped.value.hint is None
