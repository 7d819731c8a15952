"""`svt train` as a person types it, interrupts it and kills it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from svtcli.model.svt import abstract_params
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics, read_rows
from svtcli.train.checkpoint import restore_params
from svtcli.train.commit_record import latest_step
from tests.cli.terminal import svt
from tests.run.test_lock import holder_of
from tests.train import tiny_run, toy

ENDLESS = ("train.steps=1000000", "train.save_every=1000000")

Start = Callable[..., subprocess.Popen]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with a recipe and its clips."""
    tiny_run.write_clips(tmp_path / "clips")
    tiny_run.write_recipe(tmp_path, Path("clips"))
    return tmp_path


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """Starts `svt train tiny.yaml …` and returns; ends what a test leaves running."""
    running: list[subprocess.Popen] = []

    def start(*arguments: str) -> subprocess.Popen:
        command = (sys.executable, "-m", "svtcli", "train", "tiny.yaml", *arguments)
        process = subprocess.Popen(
            command,
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def steps_logged(run: RunFolder) -> list[int]:
    """The step of every whole row as it stands in the file, repeated ones too.

    A read beside the write of a row that crosses a page may see half of that row.
    """
    return [row["step"] for row in read_rows(run.metrics)]


def wait_for(condition: Callable[[], object], process: subprocess.Popen) -> None:
    until = time.monotonic() + 300
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"ended with {process.returncode}: {process.communicate()}")
        assert time.monotonic() < until
        time.sleep(0.002)


@pytest.mark.usefixtures("kept_programs")
def test_the_result_is_the_run_s_folder(place: Path, here) -> None:
    said = here("train", "tiny.yaml", "--steps", "3", "--run", "mine")
    assert (said.code, said.out) == (0, "runs/mine\n")
    assert "compiled in" in said.err
    assert "step 3, " in said.err
    assert "bits/dim" in said.err
    assert RunFolder(place / "runs" / "mine").steps() == (3,)

    said = here("--json", "train", "tiny.yaml", "--run", "mine")
    result = json.loads(said.out)
    assert (result["run"], result["step"]) == ("runs/mine", 12)
    assert 5 < result["bits_per_dim"] < 20

    again = here("train", "tiny.yaml", "--run", "mine")
    assert (again.code, again.out) == (0, "runs/mine\n")
    assert "already trained to step 12" in again.err

    changed = here("train", "tiny.yaml", "train.batch=2", "--run", "mine")
    assert (changed.code, changed.out) == (2, "")
    assert "train.batch: was 4, now 2" in changed.err
    assert "--fresh" in changed.err


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    place: Path, here
) -> None:
    before = sorted(place.rglob("*"))
    said = here("train", "tiny.yaml", "-n", "--steps", "7")
    assert said.code == 0
    assert said.out.splitlines() == [
        "writes to   runs/tiny",
        "clips       clips, 5 of split train",
        "parameters  8,348",
        "steps       0 to 7, 4 slices each",
        "device      cpu",
    ]
    facts = json.loads(here("train", "tiny.yaml", "-n", "--json").out)
    assert (facts["steps"], facts["dry_run"]) == (12, True)
    assert sorted(place.rglob("*")) == before


def test_a_dry_run_mentions_validation_and_profile_where_they_are_wanted(
    place: Path, here
) -> None:
    tiny_run.write_clips(place / "held_out", held_out=("test",))
    wanted = ("train.validate_every=4", "--profile", "5")
    said = here("train", "tiny.yaml", "data.clips=held_out", "-n", *wanted)
    assert (said.code, said.err) == (0, "")
    assert "validation  5 clips of test, every 4 steps" in said.out.splitlines()
    assert "profile     5 steps, into runs/tiny/profile" in said.out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["tiny.yaml", "--profile", "10"], 2, "only 12 steps left"),
        (["tiny.yaml", "train.validate_every=4"], 2, "has no held-out split"),
        (["nowhere.yaml"], 2, "nowhere.yaml: no such file"),
        (["tiny.yaml", "train.batches=3"], 2, "did you mean train.batch"),
        (["tiny.yaml", "train.optimizer=sgd"], 2, "should be rmsprop or adam or adamw"),
        (["tiny.yaml", "train.weight_decay=0.1"], 2, "is not used by rmsprop"),
        (["tiny.yaml", "train.warmup=12"], 2, "must be shorter than the 12 steps"),
        (["tiny.yaml", "--steps", "0"], 2, "--steps"),
        (["tiny.yaml", "--steps", "13"], 2, "set train.steps=13"),
        (["tiny.yaml", "--run", "../up"], 2, "cannot name a run"),
        (["tiny.yaml", "data.clips=gone"], 2, "svt run tiny.yaml data.clips=gone --to"),
    ],
)
def test_wrong_input_is_answered_in_words_and_leaves_nothing(
    place: Path, here, arguments: list[str], code: int, words: str
) -> None:
    said = here("train", *arguments)
    assert (said.code, said.out) == (code, "")
    assert words in said.err
    assert "Traceback" not in said.err
    assert not (place / "runs").exists()


@pytest.mark.usefixtures("kept_programs")
def test_signals_end_with_everything_saved_and_no_step_is_lost(
    place: Path, start: Start, here
) -> None:
    """One signal ends a run, another one its resumption."""
    run, reached = RunFolder(place / "runs" / "tiny"), 0
    for number, code, words in (
        (signal.SIGTERM, 75, "stopped by SIGTERM"),
        (signal.SIGINT, 130, "interrupted"),
    ):
        process = start(*ENDLESS)
        wait_for(lambda least=reached + 5: len(steps_logged(run)) > least, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out) == (code, "")
        reached = steps_logged(run)[-1]
        assert f"{words}; step {reached} is saved" in err
        assert latest_step(run.checkpoints) == reached

    assert here("train", "tiny.yaml", *ENDLESS, "--steps", f"{reached + 2}").code == 0
    steps = steps_logged(run)
    assert steps == list(range(1, reached + 3))  # none missing, none twice


@pytest.mark.usefixtures("kept_programs")
def test_a_second_trainer_of_the_run_ends_in_73(place: Path, here) -> None:
    run = RunFolder(place / "runs" / "tiny")
    here("train", "tiny.yaml", "--steps", "1")
    with holder_of(run.path) as holder:
        for more in ([], ["--fresh"]):
            said = here("train", "tiny.yaml", *more)
            assert said.code == 73
            assert f"in use by process {holder.pid}" in said.err
    assert run.steps() == (1,)


def kill_while_it_saves(
    process: subprocess.Popen, run: RunFolder, draw: random.Random
) -> None:
    """SIGKILL somewhere in one of the next saves."""
    unfinished = run.checkpoints / "unfinished"
    reached = latest_step(run.checkpoints) or 0
    wanted = reached + draw.randint(1, 12)

    def saving() -> bool:
        try:
            names = [path.name.split(".")[0] for path in unfinished.iterdir()]
        except FileNotFoundError:  # a new process is just clearing it
            return False
        return any(int(name) >= wanted for name in names if name.isdecimal())

    wait_for(saving, process)
    time.sleep(draw.uniform(0, 0.12))
    process.send_signal(signal.SIGKILL)
    process.wait()


def killed_run(place: Path, start: Start, kills: int, steps: str) -> None:
    """Kill a run again and again; it must end as if nothing had happened."""
    straight = RunFolder(place / "runs" / "straight")
    killed = RunFolder(place / "runs" / "killed")
    how = (f"train.steps={steps}", "train.save_every=3")
    done = svt("train", "tiny.yaml", *how, "--run", "straight", cwd=place)
    assert done.code == 0, done.err

    draw = random.Random(5)
    for _ in range(kills):
        kill_while_it_saves(start(*how, "--run", "killed"), killed, draw)
    done = svt("train", "tiny.yaml", *how, "--run", "killed", cwd=place)
    assert done.code == 0, done.err
    assert "broken" not in done.err

    losses = [
        [(row["step"], row["loss"]) for row in read_metrics(run.metrics)]
        for run in (straight, killed)
    ]
    assert losses[0] == losses[1]
    shapes = abstract_params(straight.recipe().model)
    one, other = (
        restore_params(run.checkpoints, int(steps), shapes)
        for run in (straight, killed)
    )
    assert toy.same(one, other)
    assert not any((killed.checkpoints / "unfinished").iterdir())
    assert not (killed.checkpoints / "quarantine").exists()


@pytest.mark.slow
def test_many_kills_while_saving_change_nothing(place: Path, start: Start) -> None:
    killed_run(place, start, kills=30, steps="600")


def test_a_disk_that_refuses_a_write_ends_in_74_and_is_forgiven(
    place: Path, here
) -> None:
    """`ulimit -f` stands for a disk that fills up while a checkpoint is written."""
    limited = f"ulimit -f 20; exec {sys.executable} -m svtcli train tiny.yaml"
    said = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {limited}"],
        cwd=place,
        capture_output=True,
        text=True,
        # Its compiled step may be found in the cache, but must not be written there.
        env={**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000"},
    )
    assert said.returncode == 74, said.stderr
    assert "svt: error: runs/tiny/checkpoints: " in said.stderr
    assert "hint: allow larger files (ulimit -f)" in said.stderr
    assert "Traceback" not in said.stderr
    assert latest_step(place / "runs" / "tiny" / "checkpoints") is None
    assert here("train", "tiny.yaml").code == 0
