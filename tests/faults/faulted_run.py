"""A training run that is killed or stopped again and again.

The guarantee: its log equals that of an undisturbed run, bit for bit, and what was once
safe on the disk is never lost.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svtcli.model.svt import abstract_params
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train.checkpoint import restore_params
from svtcli.train.commit_record import latest_step
from svtcli.train.stage import train
from tests.train import tiny_run, toy

SAVE_EVERY = 5
MOST_ROWS = 12
"""Maximum number of rows that a process logs before it gets a signal."""
TRAIN = (sys.executable, "-m", "svtcli", "train")
ENDLESS = 1_000_000
"""Number of steps that no run here reaches."""
PATIENCE = 600
"""Seconds to wait for a process to end, on a busy machine too."""


def compiled_once(jit_update: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `jit_update`: all trainings of this process share one compiled step."""
    made: list[Any] = []

    def first(*setting: Any) -> Any:
        made[:] = made or [jit_update(*setting)]
        return made[0]

    return first


@dataclass(frozen=True)
class Ended:
    """Exit of one process, and its progress."""

    code: int
    first_row: int
    """Rows in the log at its start."""
    rows: int
    """Complete rows in the log at its end."""
    before: int
    """Step of the newest checkpoint at its start; 0 for none."""
    saved: int
    """Step of the newest checkpoint at its end."""
    out: str
    """Output on stdout."""
    said: str
    """Output on stderr."""
    caught: bool = True
    """False if it got its signal before it caught any."""


def catches(process: subprocess.Popen) -> bool:
    """Return True if the process catches signals to stop, or blocks them until then.

    SIGTERM tells it: SIGINT is always caught by Python.
    """
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    lines = dict(line.split(":", 1) for line in status.splitlines())
    masks = lines["SigCgt"], lines["SigBlk"]
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


class FaultedRun:
    """A run folder and the processes that train in it, one after the other."""

    def __init__(self, place: Path, steps: int = ENDLESS, *settings: str) -> None:
        self.place, self.steps = place, steps
        tiny_run.write_clips(place / "clips", held_out=("test",))
        self.recipe = tiny_run.write_recipe(place, place / "clips")
        every = f"train.save_every={SAVE_EVERY}"
        self.settings = (f"train.steps={steps}", every, *settings)
        self.run, self.straight = self.folder("tiny"), self.folder("straight")
        self.ended: list[Ended] = []

    def folder(self, name: str) -> RunFolder:
        """Folder of another run of the same recipe."""
        return RunFolder(self.place / "runs" / name)

    def train_here(self, run: RunFolder) -> None:
        """Train in this process, or resume, to the end."""
        loaded = tiny_run.loaded(self.recipe, *self.settings)
        train(loaded, run, Silent(), stop_at=self.steps)

    def train_straight(self) -> None:
        """Train the undisturbed run."""
        self.train_here(self.straight)

    def steps_logged(self) -> list[int]:
        """Steps of all complete rows in the file, repeated ones too."""
        text = self.run.metrics.read_text() if self.run.metrics.exists() else ""
        return [json.loads(line)["step"] for line in text.split("\n")[:-1]]

    def process(self, program: Sequence[str] = TRAIN, *more: str) -> subprocess.Popen:
        """Start a process that trains, or resumes."""
        return subprocess.Popen(
            (*program, self.recipe.name, *self.settings, *more),
            cwd=self.place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, number: signal.Signals, draw: random.Random) -> Ended:
        """Start a process, and send it a signal at a random moment."""
        first_row, before = len(self.steps_logged()), self.saved()
        process = self.process()
        # Sometimes while it imports, compiles and restores; else while it trains.
        if draw.random() < 0.3:
            time.sleep(draw.uniform(0.05, 4))
        else:
            self._wait_for_rows(first_row + draw.randint(1, MOST_ROWS), process)
            time.sleep(draw.uniform(0, 0.05))
        caught = catches(process)
        process.send_signal(number)
        return self.note_end(process, first_row, before, caught)

    def note_end(
        self,
        process: subprocess.Popen,
        first_row: int,
        before: int,
        caught: bool = True,
    ) -> Ended:
        """Wait for a process to end, and record its exit."""
        out, said = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in said or not caught, said
        ended = Ended(
            code=process.returncode,
            first_row=first_row,
            rows=len(self.steps_logged()),
            before=before,
            saved=self.saved(),
            out=out,
            said=said,
            caught=caught,
        )
        self.ended.append(ended)
        return ended

    def finish(self) -> None:
        """Train two more steps, to the end of the run."""
        row, before = len(self.steps_logged()), self.saved()
        self.steps = max([before, *self.steps_logged()]) + 2
        last = self.process(TRAIN, "--steps", str(self.steps))
        ended = self.note_end(last, row, before)
        assert ended.code == 0, ended.said
        assert ended.saved == self.steps

    def check(self) -> None:
        """Check the guarantee, for the run and for each process."""
        self.check_as_straight(self.run)
        steps = self.steps_logged()
        for ended in self.ended:
            assert ended.saved >= ended.before
            # It resumed from the newest checkpoint, one step after it.
            if ended.rows > ended.first_row:
                assert steps[ended.first_row] == ended.before + 1
                # One save is in progress, the next waits for it: no more is repeated.
                reached = steps[ended.rows - 1]
                assert reached - ended.saved <= 2 * SAVE_EVERY

    def check_as_straight(self, run: RunFolder) -> None:
        """Check losses and parameters against the undisturbed run; no leftovers."""
        logs = [
            [(row["step"], row["loss"]) for row in read_metrics(one.metrics)]
            for one in (self.straight, run)
        ]
        assert logs[0] == logs[1]
        shapes = abstract_params(self.straight.recipe().model)
        one, other = (
            restore_params(run.checkpoints, self.steps, shapes)
            for run in (self.straight, run)
        )
        assert toy.same(one, other)
        assert not any((run.checkpoints / "unfinished").iterdir())
        assert not (run.checkpoints / "quarantine").exists()

    def saved(self) -> int:
        """Step of the newest checkpoint; 0 for none."""
        return latest_step(self.run.checkpoints) or 0

    def _wait_for_rows(self, rows: int, process: subprocess.Popen) -> None:
        until = time.monotonic() + PATIENCE
        while len(self.steps_logged()) < rows and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
