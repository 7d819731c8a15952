"""A device with too little memory: one sentence, what needs less, and nothing lost."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.failure import memory_wanted
from svtcli.recipe.schema import Train
from svtcli.run.metrics_log import read_metrics
from svtcli.stages import evaluate, sample, train
from svtcli.stages.device_memory import less_for_batches, less_for_training
from tests.cli.terminal import Said, svt_here


def ask_for_too_much(*_, **__) -> None:
    """jax's own error, from a device that really has too little."""
    jnp.zeros(2**46, jnp.float32).block_until_ready()


def assert_told(said: Said, work: str, *ways: str) -> None:
    """One sentence and one hint, in plain words."""
    lines = [line for line in said.err.splitlines() if line.startswith("svt: error")]
    assert said.code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"svt: error: {work}: the device has too little memory")
    assert "281,474.98 GB" in lines[0]
    hint = said.err.splitlines()[-1]
    assert hint.startswith("hint: ")
    for way in ways:
        assert way in hint
    for word in ("Traceback", "RESOURCE_EXHAUSTED", "JaxRuntimeError"):
        assert word not in said.err


def test_training_names_what_needs_less_and_keeps_what_was_saved(
    place, capfd, monkeypatch
):
    command = ("train", "mine.yaml", "--run", "other", "--steps")
    assert svt_here(capfd, *command, "2").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(train, "train_until", ask_for_too_much)
        said = svt_here(capfd, *command, "3")
    ways = "train.precision=bfloat16, train.accumulate=2, train.remat=true or a smaller"
    assert_told(said, "training", ways)
    assert svt_here(capfd, *command, "3").code == 0
    steps = [row["step"] for row in read_metrics(place / "runs/other/metrics.jsonl")]
    assert steps == [1, 2, 3]


def test_sampling_keeps_the_finished_videos_and_goes_on_with_fewer_at_once(
    place, capfd, monkeypatch
):
    asked = ("sample", "mine", "--count", "2", "--json")
    whole = json.loads(svt_here(capfd, *asked, "--out", "whole").out)["samples"]
    once, made = sample.Sampler.continue_video, []

    def second_fails(self, *given, **named):
        made.append(len(made))
        return ask_for_too_much() if len(made) == 2 else once(self, *given, **named)

    again = (*asked, "--out", "again", "--batch", "1")
    with monkeypatch.context() as patch:
        patch.setattr(sample.Sampler, "continue_video", second_fails)
        said = svt_here(capfd, *again)
    assert_told(said, "sampling", "--precision bfloat16", "finished videos are kept")
    done = svt_here(capfd, *again)
    assert "1 of 2 videos were finished before" in done.err
    one, other = (np.load(Path(each) / "samples.npy") for each in (whole, "again"))
    assert (one == other).all()


def test_scoring_names_a_smaller_batch(place, capfd, monkeypatch):
    monkeypatch.setattr(evaluate.Scorer, "frame_nats", ask_for_too_much)
    said = svt_here(capfd, "eval", "mine", "--clips", "2", "--batch", "2")
    assert_told(said, "scoring", "--batch 1", "scored clips are kept")


def test_elsewhere_another_process_is_named(place, capfd, monkeypatch):
    monkeypatch.setattr("svtcli.model.svt.abstract_params", ask_for_too_much)
    said = svt_here(capfd, "plan", "mine.yaml")
    assert said.code == 1
    assert "error: the device has too little memory (another 281,474.98" in said.err
    assert "nvidia-smi" in said.err


SAID_BY_JAX = {
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4770354232 bytes.": (
        " (another 4.77 GB were asked for)"
    ),
    "RESOURCE_EXHAUSTED: Failed to allocate request for 2.99GiB (3206250496B)": (
        " (another 3.21 GB were asked for)"
    ),
    "Ran out of memory in memory space hbm. Used 21.00G of 15.75G hbm.": (
        " (21.00GB of 15.75GB)"
    ),
    "INTERNAL: failed to retain context: CUDA_ERROR_OUT_OF_MEMORY": "",
    "INTERNAL: something else took 12 bytes": None,
}


@pytest.mark.parametrize(("text", "said"), SAID_BY_JAX.items())
def test_what_was_wanted_is_read_from_what_jax_says(text, said):
    assert memory_wanted(RuntimeError(text)) == said
    assert memory_wanted(ValueError(text)) is None


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"batch": 12, "accumulate": 4, "precision": "bfloat16"},
         "train.accumulate=6, train.remat=true or a smaller train.batch needs less"),
        ({"batch": 1, "remat": True, "precision": "bfloat16"},
         "a smaller model needs less"),
    ],
)  # fmt: skip
def test_what_is_proposed_for_training_can_be_done(settings, hint):
    assert less_for_training(Train(**settings)).startswith(hint)


def test_what_is_proposed_for_batches_can_be_done():
    assert less_for_batches(16, "bfloat16", "kept").startswith("--batch 8 needs less")
    assert less_for_batches(1, "bfloat16", "kept").startswith("a smaller model needs")
