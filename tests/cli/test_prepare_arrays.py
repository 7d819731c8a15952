"""`svt prepare arrays` as a person types it, kills it, and trains on what it made."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.reader import open_clips
from svtcli.run.metrics_log import read_rows
from tests.cli.terminal import svt
from tests.prepare.array_files import ACTIONS, VIDEO, save

RECIPE = """\
data: {kind: arrays, source: robot.npz, size: 8, test: 0}
model:
  video: [4, 8, 8]
  s: [2, 2, 2]
  de: 4
  d: 8
  na: 2
  da: 3
  encoder_layers: 1
  decoder_layers: 1
  blocks: [[2, 2, 2]]
  actions: 2
sample: {split: train}
eval: {split: train}
train: {steps: 2, batch: 4, learning_rate: 1e-2, log_every: 1}
"""
WORKER = """
import sys
from svtcli.cli.app import main
import svtcli.prepare.sources.arrays as arrays
arrays.TASK_CLIPS = 2
arrays.SHARD_TASKS = 1
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def test_clips_are_called_by_their_file_and_resumed(place: Path, here) -> None:
    save(place / "robot.npz", frames=VIDEO, actions=ACTIONS)
    said = here("prepare", "arrays", "--source", "robot.npz", "--size", "8", "-n")
    assert (said.code, said.out[:32]) == (0, "clips/robot: about 4 clips, 4 kB")
    said = here("prepare", "arrays", "--source", "robot.npz", "--size", "8")
    assert (said.code, said.out) == (0, "clips/robot\n"), said.err
    assert "train: 3 clips, 15 frames" in said.err
    clips = open_clips(place / "clips/robot", "train")
    number = int(clips.ids[0].partition("#")[2])
    np.testing.assert_array_equal(clips.read(0), VIDEO[number])
    np.testing.assert_array_equal(clips.actions(0), ACTIONS[number])
    again = here("prepare", "arrays", "--source", "robot.npz", "--size", "8")
    assert "already prepared" in again.err
    save(place / "robot.npz", frames=VIDEO / 255)
    said = here("prepare", "arrays", "--source", "robot.npz", "--out", "x")
    assert (said.code, said.out) == (2, "")
    assert "float64, not uint8" in said.err
    assert "--range 0..1" in said.err


def test_a_dry_run_names_the_files_that_give_no_clips(place: Path, here) -> None:
    save(place / "in/a.npz", frames=VIDEO)
    for name in "bc":
        save(place / f"in/{name}.npz", frames=VIDEO / 255)
    would = here("prepare", "arrays", "--source", "in", "--size", "8", "-n")
    assert "about 4 clips" in would.out
    assert "2 files cannot be used:" in would.out
    assert "b.npz: layout: frames: its numbers are float64, not uint8" in would.out
    said = here("prepare", "arrays", "--source", "in", "--size", "8")
    assert said.code == 3
    assert "2 of 6 clips and files could not be read (2 of another layout)" in said.err


@pytest.mark.slow
def test_a_model_is_trained_with_the_actions_of_arrays(place: Path, here) -> None:
    losses = []
    for run, actions in (("a", ACTIONS), ("b", 5 * ACTIONS)):
        save(place / "robot.npz", frames=VIDEO, actions=actions)
        (place / f"{run}.yaml").write_text(RECIPE)
        said = here("run", f"{run}.yaml", "--to", "train")
        assert said.code == 0, said.err
        rows = list(read_rows(place / f"runs/{run}/metrics.jsonl"))
        losses.append([row["bits_per_dim"] for row in rows])
    assert len(losses[0]) == len(losses[1]) == 2
    assert losses[0] != losses[1]
    (place / "c.yaml").write_text(RECIPE.replace("actions: 2", "actions: 3"))
    said = here("run", "c.yaml", "--to", "train")
    assert said.code == 2
    assert "frames have 2 action values, model.actions is 3" in said.err
    assert "hint: set model.actions=2" in said.err


@pytest.mark.slow
def test_a_repaired_file_is_retried_and_the_others_are_kept(place: Path, here) -> None:
    for name in "abc":
        save(place / f"in/{name}.npz", frames=VIDEO, actions=ACTIONS)
    broken = VIDEO.copy() / 255
    broken[1, 2] = np.nan
    save(place / "in/b.npz", frames=broken, actions=ACTIONS)
    flags = ("prepare", "arrays", "--source", "in", "--size=8", "--test=0")
    said = here(*flags, "--range", "0..255", "--max-failures", "100%")
    assert said.code == 0, said.err
    assert "b.npz#1: values: frame 2: nan is not a number" in said.err
    assert "train: 11 clips" in said.err
    save(place / "in/b.npz", frames=VIDEO, actions=ACTIONS)
    said = here(*flags, "--range", "0..255", "--retry-failed")
    assert said.code == 0, said.err
    assert "train: 12 clips" in said.err
    clips = open_clips(place / "clips/in", "train")
    assert [clips.ids[number] for number in (4, 5)] == ["b.npz#0", "b.npz#1"]
    np.testing.assert_array_equal(clips.read(5), VIDEO[1])


@pytest.mark.slow
def test_a_killed_preparation_is_resumed_to_the_same_bytes(place: Path) -> None:
    video = np.tile(np.repeat(VIDEO, 30, 1), (10, 1, 8, 8, 1))
    save(place / "x.packed.npz", frames=video)
    save(place / "x.npy", frames=video, actions=np.tile(ACTIONS, (10, 30, 1)))
    (place / "worker.py").write_text(WORKER)
    for name in ("x.npy", "x.packed.npz"):
        command = (
            *(sys.executable, "worker.py", "prepare", "arrays", "--source", name),
            *("--size", "16", "--workers", "2", "--out"),
        )
        env = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        for _ in range(3):
            process = subprocess.Popen(
                (*command, f"{name}.killed"), cwd=place, env=env, start_new_session=True
            )
            work, until = place / f"{name}.killed/.work", time.monotonic() + 120
            before = len(list(work.glob("*.done.json")))
            # A packed array is one task, which is killed while it works.
            while process.poll() is None and time.monotonic() < until:
                finished = len(list(work.glob("*.done.json"))) > before
                if finished or ("packed" in name and any(work.glob("*/*.frames"))):
                    break
                time.sleep(0.002)
            assert process.poll() is None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for out in ("killed", "whole"):
            done = subprocess.run((*command, f"{name}.{out}"), cwd=place, env=env)
            assert done.returncode == 0
        whole = sorted((place / f"{name}.whole").iterdir())
        assert len(whole) >= 5
        for file in whole:
            if file.suffix in (".npy", ".jsonl"):
                killed = place / f"{name}.killed" / file.name
                assert killed.read_bytes() == file.read_bytes(), file.name


@pytest.mark.slow
def test_a_job_array_gives_the_bytes_of_one_machine(place: Path) -> None:
    save(place / "in/a.npz", frames=VIDEO, actions=ACTIONS)
    for number in range(70):
        save(place / f"in/b/{number}.npz", frames=VIDEO[:1], actions=ACTIONS[:1])
    flags = ("prepare", "arrays", "--source", "in", "--size", "8", "--out")
    assert svt(*flags, "whole", cwd=place).code == 0
    for task in "10":
        array = ("--task-count", "2", "--task-index", task)
        assert svt(*flags, "array", *array, cwd=place).code == 0
    names = {file.name for file in (place / "whole").glob("*.npy")}
    assert len(names) >= 6
    for name in names:
        whole, array = place / "whole" / name, place / "array" / name
        assert whole.read_bytes() == array.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npy", ".packed.npz", ".safetensors", ".h5"])
def test_memory_does_not_depend_on_the_size_of_a_file(place: Path, suffix: str) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    peaks = []
    for clips in (20, 1000):
        video = np.random.default_rng(0).integers(0, 64, (20, 16, 80, 96, 3), np.uint8)
        video = np.tile(video, (clips // 20, 1, 1, 1, 1))
        path = save(place / f"{clips}{suffix}", frames=video)
        program = (sys.executable, "-m", "tests.prepare.arrays_worker")
        done = subprocess.run(
            (*program, str(path), "64", str(place)),
            capture_output=True,
            text=True,
            check=True,
        )
        there, peak = map(int, done.stdout.split())
        assert there == clips
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 30, peaks
