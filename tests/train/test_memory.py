"""Advice for a device with too little memory, and host memory that is kept."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.evaluate import lpips
from svtcli.evaluate import stage as evaluate
from svtcli.evaluate.fvd import features
from svtcli.recipe.data import FolderData
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Eval, Mesh, Recipe, Train
from svtcli.run.metrics_log import read_metrics
from svtcli.sample import stage as sample
from svtcli.train import arrays
from svtcli.train import stage as train
from svtcli.train import validate as validation
from svtcli.train.memory import (
    less_for_batches,
    less_for_training,
    less_for_validation,
)
from tests.cli.terminal import Said, svt_here

pytestmark = pytest.mark.usefixtures("kept_programs")

WANTED = "has too little memory (281 TB more were asked for)"


def ask_for_too_much(*_: Any, **__: Any) -> Any:
    """jax's own error, from a device that really has too little."""
    jnp.zeros(2**46, jnp.float32).block_until_ready()


def full_at(call: int, do: Callable[..., Any]) -> Callable[..., Any]:
    """`do`, for which the device is too small when it is called for the nth time."""
    calls = iter(range(1, 1000))
    return lambda *given, **named: (
        ask_for_too_much() if next(calls) == call else do(*given, **named)
    )


class Promised:
    """A result that is sent off and turns out to be too large when it is read."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        ask_for_too_much()


def assert_told(said: Said, work: str, hint: str) -> None:
    """One sentence and one hint, in plain words."""
    errors = [line for line in said.err.splitlines() if line.startswith("svt: error")]
    assert errors == [f"svt: error: {work}: the device (cpu) {WANTED}"], said.err
    assert said.err.splitlines()[-1] == f"hint: {hint}"
    assert said.code == 1
    for word in ("Traceback", "RESOURCE_EXHAUSTED", "JaxRuntimeError"):
        assert word not in said.err


PLAN = "`svt plan RECIPE --compile` tells in advance how much"
FIRST = (
    "train.accumulate=2, train.remat=true, train.precision=bfloat16 or a smaller "
    f"train.batch needs less; {PLAN}"
)
SAVED = (
    "train.accumulate=2 or train.remat=true needs less and resumes from step 2; "
    "train.precision=bfloat16 or a smaller train.batch needs less in a new run "
    f"(--run NAME); {PLAN}"
)
TRAIN = ("train", "mine.yaml", "--run", "other")


def logged(place: Path) -> list[int]:
    return [row["step"] for row in read_metrics(place / "runs/other/metrics.jsonl")]


def test_a_step_that_cannot_be_compiled_names_what_needs_less(
    place, capfd, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(train, "jit_update", ask_for_too_much)
        said = svt_here(capfd, "run", "mine.yaml", "--run", "other", "--to", "train")
    assert_told(said, "training", FIRST)
    others = ("train.precision=bfloat16", "train.batch=2")
    assert svt_here(capfd, *TRAIN, *others, "-n").code == 0
    assert svt_here(capfd, *TRAIN).code == 0
    assert logged(place) == [1, 2, 3]


def test_a_later_step_without_memory_keeps_the_checkpoints_and_names_keys_that_resume(
    place, capfd, monkeypatch
):
    compiled = train.jit_update
    with monkeypatch.context() as patch:
        patch.setattr(train, "jit_update", lambda *a: full_at(3, compiled(*a)))
        said = svt_here(capfd, *TRAIN)
    assert_told(said, "training", SAVED)
    assert (place / "runs/other/checkpoints/2").is_dir()
    assert svt_here(capfd, *TRAIN, "train.precision=bfloat16", "-n").code == 2
    again = svt_here(capfd, *TRAIN, "train.accumulate=2", "train.remat=true")
    assert again.code == 0, again.err
    assert logged(place) == [1, 2, 3]


def test_so_does_a_result_that_does_not_fit_when_it_is_read(place, capfd, monkeypatch):
    compiled = train.jit_update

    def update(*given):
        step, calls = compiled(*given), iter(range(1, 9))

        def broken(state, inputs):
            state, metrics = step(state, inputs)
            loss = Promised() if next(calls) == 3 else metrics.loss
            return state, metrics._replace(loss=loss)

        return broken

    monkeypatch.setattr(train, "jit_update", update)
    assert_told(svt_here(capfd, *TRAIN), "training", SAVED)
    assert logged(place) == [1, 2]


def begin(folder: Path, *_: Any) -> None:
    """What orbax has written when it fails, in a folder beside."""
    beside = folder.with_name(f"{folder.name}.orbax-temporary")
    beside.mkdir(parents=True)
    (beside / "params").write_bytes(b"half of it")


def fails_at_once(folder: Path, *_: Any) -> None:
    """A write that does not get as far as the background."""
    begin(folder)
    ask_for_too_much()


def fails_later(folder: Path, *_: Any) -> "Failing":
    """One that does."""
    begin(folder)
    return Failing()


class Failing:
    """A write in the background that orbax gives up, in words of its own."""

    def result(self) -> None:
        try:
            ask_for_too_much()
        except RuntimeError as error:
            raise ValueError("a worker has failed") from error


@pytest.mark.parametrize("save", [fails_at_once, fails_later])
def test_a_checkpoint_that_cannot_be_copied_is_no_full_disk(
    place, capfd, monkeypatch, save
):
    with monkeypatch.context() as patch:
        patch.setattr(arrays.ocp, "save_checkpointables_async", save)
        said = svt_here(capfd, *TRAIN)
    assert_told(said, "training", FIRST)
    folder = place / "runs/other/checkpoints"
    assert [path.name for path in folder.rglob("*")] == ["unfinished"]
    assert svt_here(capfd, *TRAIN).code == 0
    assert logged(place)[-3:] == [1, 2, 3]


def test_validation_has_advice_of_its_own(place, capfd, monkeypatch):
    validated = (*TRAIN, "train.validate_every=2", "train.validate_split=test")
    with monkeypatch.context() as patch:
        patch.setattr(validation.Scorer, "frame_nll", ask_for_too_much)
        said = svt_here(capfd, *validated)
    hint = (
        "eval.batch=1, eval.precision=bfloat16 or train.validate_every=null needs "
        "less; training resumes from the last checkpoint"
    )
    assert_told(said, "validation", hint)
    assert svt_here(capfd, *validated, "eval.batch=1", "-n").code == 0


VIDEOS = (
    "--batch 1 (sample.batch) needs less and keeps the finished videos; --precision "
    "bfloat16 (sample.precision) needs less and starts over"
)


def test_sampling_keeps_finished_videos_and_resumes_with_a_smaller_batch(
    place, capfd, monkeypatch
):
    asked = ("sample", "mine", "--count", "4", "--json")
    whole = json.loads(svt_here(capfd, *asked, "--out", "whole").out)["samples"]
    again = (*asked, "--out", "again")
    with monkeypatch.context() as patch:
        second = full_at(2, sample.Sampler.continue_video)
        patch.setattr(sample.Sampler, "continue_video", lambda *a: second(*a))
        said = svt_here(capfd, *again)
    assert_told(said, "sampling", VIDEOS)
    assert not Path("again").exists()
    done = svt_here(capfd, *again, "--batch", "1")
    assert "2 of 4 videos were finished before" in done.err
    one, other = (np.load(Path(each) / "samples.npy") for each in (whole, "again"))
    assert (one == other).all()
    assert not list(Path().glob(".again*"))


def test_parameters_that_do_not_fit_are_not_a_damaged_checkpoint(
    place, capfd, monkeypatch
):
    monkeypatch.setattr(arrays.ocp, "load_checkpointables", ask_for_too_much)
    assert_told(svt_here(capfd, "sample", "mine"), "sampling", VIDEOS)
    said = svt_here(capfd, "runs", "export", "mine", "exported.safetensors")
    assert said.code == 1
    assert f"svt: error: the device {WANTED}\nhint: a smaller batch" in said.err
    assert not Path("exported.safetensors").exists()


def test_scoring_keeps_scored_clips_and_resumes_with_a_smaller_batch(
    place, capfd, monkeypatch
):
    asked = ("eval", "mine", "--batch", "2")
    with monkeypatch.context() as patch:
        second = full_at(2, evaluate.Scorer.frame_nll)
        patch.setattr(evaluate.Scorer, "frame_nll", lambda *a: second(*a))
        said = svt_here(capfd, *asked)
    hint = (
        "--batch 1 (eval.batch) needs less and keeps the scored clips; --precision "
        "bfloat16 (eval.precision) needs less and starts over"
    )
    assert_told(said, "scoring", hint)
    planned = svt_here(capfd, *asked, "-n")
    assert "(2 of 4 clips are scored)" in planned.out
    assert svt_here(capfd, "eval", "mine", "--batch", "1").code == 0


def test_fvd_and_lpips_say_that_no_setting_helps(
    tmp_path, capfd, monkeypatch, cheap_features
):
    monkeypatch.chdir(tmp_path)
    clips = np.random.default_rng(0).integers(0, 256, (4, 9, 32, 32, 3), np.uint8)
    for name in ("made", "true"):
        np.save(f"{name}.npy", clips)
    asked = ("eval", "made.npy", "--reference", "true.npy", "--window", "9", "--metric")
    hint = (
        "a device computes {} at once, whatever the settings; nvidia-smi shows "
        "whether another process has the memory; with JAX_PLATFORMS=cpu the same "
        "command continues on the CPU; {}"
    )
    with monkeypatch.context() as patch:
        patch.setattr(features, "features", ask_for_too_much)
        said = svt_here(capfd, *asked, "fvd")
    assert_told(said, "FVD", hint.format("8 clips", "finished features are kept"))
    assert svt_here(capfd, *asked, "fvd").code == 0
    monkeypatch.setattr(lpips, "read_lpips", lambda net: None)
    monkeypatch.setattr(lpips, "lpips", ask_for_too_much)
    said = svt_here(capfd, *asked[:4], "--prime", "0", "--metric", "lpips")
    lost = "FVD's features are kept, LPIPS starts again"
    assert_told(said, "LPIPS", hint.format("a few frames", lost))


def test_a_device_that_cannot_be_started_points_to_another_process(
    place, capfd, monkeypatch
):
    monkeypatch.setattr("svtcli.train.stage.layout_of", ask_for_too_much)
    said = svt_here(capfd, *TRAIN)
    assert said.code == 1
    assert f"svt: error: the device {WANTED}\n" in said.err
    assert "nvidia-smi" in said.err.splitlines()[-1]
    assert not (place / "runs/other").exists()


SMALL = Model(video=(4, 4, 4), s=(2, 2, 2), de=4, d=8, na=2, da=3, blocks=((2, 2, 2),))


def recipe(
    mesh: Mesh | None = None, first: int | None = None, **settings: Any
) -> Recipe:
    data = FolderData(kind="folder", size=4)
    model = replace(SMALL, first_slice_layers=first)
    return Recipe(data, model=model, train=Train(**settings), mesh=mesh or Mesh())


LEAST = {"remat": True, "precision": "bfloat16"}


@pytest.mark.parametrize(
    ("made", "grid", "hint"),
    [
        (recipe(batch=12, accumulate=3, **LEAST), (1, 1),
         "train.accumulate=6 or a smaller train.batch needs less; "),
        (recipe(batch=12, accumulate=4, **LEAST), (1, 1),
         "train.accumulate=6 or a smaller train.batch needs less; "),
        (recipe(batch=12, accumulate=2, **LEAST), (2, 1),
         "train.accumulate=3, mesh.shard=2 or a smaller train.batch needs less; "),
        (recipe(Mesh(2, 2), batch=8, accumulate=2, **LEAST), (2, 2),
         "mesh.data=1 mesh.shard=4 or a smaller model needs less; "),
        (recipe(batch=16, first=1, **LEAST), (1, 1),
         "train.accumulate=2 or a smaller train.batch needs less; "),
        (recipe(batch=16, first=1, accumulate=2, **LEAST), (1, 1),
         "a smaller train.batch needs less; "),
        (recipe(batch=1, **LEAST), (1, 1), "a smaller model needs less; "),
    ],
)  # fmt: skip
def test_advice_for_training_is_feasible(made, grid, hint):
    assert less_for_training(made, *grid) == hint + PLAN


def test_advice_for_a_run_with_checkpoints_separates_keys_that_resume():
    said = less_for_training(recipe(batch=1, **LEAST), 1, 1, saved=7)
    assert said == f"a smaller model needs less in a new run (--run NAME); {PLAN}"


@pytest.mark.parametrize(
    ("at_once", "devices", "batch"), [(16, 1, 8), (3, 1, 1), (16, 4, 8), (13, 4, 8)]
)
def test_fewer_at_once_are_fewer_on_each_device(at_once, devices, batch):
    said = less_for_batches("eval", at_once, devices, "bfloat16", "the rest")
    assert said == f"--batch {batch} (eval.batch) needs less and keeps the rest"


def test_one_on_each_device_cannot_be_fewer():
    said = less_for_batches("eval", 4, 4, "float32", "the rest")
    assert said.startswith("--precision bfloat16 (eval.precision) needs less")
    least = less_for_batches("eval", 4, 4, "bfloat16", "all clips")
    assert least == "no setting needs less; all clips are kept for a larger device"
    made = replace(recipe(), eval=Eval(batch=4, precision="bfloat16"))
    off = "train.validate_every=null needs less"
    assert less_for_validation(made, 32, 4).startswith(off)


def test_no_batch_is_proposed_that_a_device_would_fill_up_again():
    """A GPU makes two videos at once, however few are asked for."""
    asked = ("sample", 2, 1, "bfloat16", "the rest")
    assert "--batch 1 " in less_for_batches(*asked)
    assert "--batch" not in less_for_batches(*asked, 2)
    three = less_for_batches("sample", 3, 2, "bfloat16", "the rest", 1)
    assert "--batch 2 " in three


ALLOCATES = """
import resource, sys
import numpy as np
from svtcli.train.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

np.ones(50_000_000, np.uint8)
before = faults()
for _ in range(5):
    np.ones(50_000_000, np.uint8)
print(faults() - before)
"""


def page_faults(how: str) -> int:
    """Of five times 50 MB that are allocated, filled and freed."""
    command = [sys.executable, "-c", ALLOCATES, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_freed_memory_is_not_faulted_in_again():
    assert page_faults("keep") < page_faults("default") / 10
