"""A run of `svt train` that is ended from outside again and again, and what it did.

The promise: its log is that of a run that nothing ever happened to, bit for bit, and
what was once safe on the disk is never lost.
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
"""How far a process comes, more or less, before it is ended."""
TRAIN = (sys.executable, "-m", "svtcli", "train")
ENDLESS = 1_000_000
"""Steps that no run here comes to."""
PATIENCE = 600
"""Seconds in which what ends will have ended, on a busy machine too."""


def compiled_once(jit_update: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but later trainings of this process take the first one's step."""
    made: list[Any] = []

    def first(*setting: Any) -> Any:
        made[:] = made or [jit_update(*setting)]
        return made[0]

    return first


@dataclass(frozen=True)
class Ended:
    """How one process ended, and what it had reached."""

    code: int
    first_row: int
    """Rows in the log when it began."""
    rows: int
    """Whole rows in the log when it ended."""
    before: int
    """The newest checkpoint's step when it began; 0 for none."""
    saved: int
    """The newest checkpoint's step when it had ended."""
    out: str
    """What it said on stdout."""
    said: str
    """What it said on stderr."""


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
        """One more run of the same recipe."""
        return RunFolder(self.place / "runs" / name)

    def train_here(self, run: RunFolder) -> None:
        """Train in this process, or go on, to the end."""
        loaded = tiny_run.loaded(self.recipe, *self.settings)
        train(loaded, run, Silent(), stop_at=self.steps)

    def train_straight(self) -> None:
        """The run that nothing happens to."""
        self.train_here(self.straight)

    def steps_logged(self) -> list[int]:
        """The step of every whole row as it stands in the file, repeated ones too."""
        text = self.run.metrics.read_text() if self.run.metrics.exists() else ""
        return [json.loads(line)["step"] for line in text.split("\n")[:-1]]

    def process(self, program: Sequence[str] = TRAIN, *more: str) -> subprocess.Popen:
        """A process that trains on."""
        return subprocess.Popen(
            (*program, self.recipe.name, *self.settings, *more),
            cwd=self.place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, number: signal.Signals, draw: random.Random) -> Ended:
        """Start a process, end it by a signal at a random moment."""
        first_row, before = len(self.steps_logged()), self.saved()
        process = self.process()
        # Now and then while it imports, compiles and restores; else while it trains.
        if draw.random() < 0.3:
            time.sleep(draw.uniform(0, 4))
        else:
            self._wait_for_rows(first_row + draw.randint(1, MOST_ROWS), process)
            time.sleep(draw.uniform(0, 0.05))
        process.send_signal(number)
        return self.note_end(process, first_row, before)

    def note_end(self, process: subprocess.Popen, first_row: int, before: int) -> Ended:
        """Wait for a process to end; remember how."""
        out, said = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in said, said
        rows, saved = len(self.steps_logged()), self.saved()
        ended = Ended(process.returncode, first_row, rows, before, saved, out, said)
        self.ended.append(ended)
        return ended

    def finish(self) -> None:
        """Let it come to its end, which is now soon after what was reached."""
        row, before = len(self.steps_logged()), self.saved()
        self.steps = max([before, *self.steps_logged()]) + 2
        last = self.process(TRAIN, "--steps", str(self.steps))
        ended = self.note_end(last, row, before)
        assert ended.code == 0, ended.said
        assert ended.saved == self.steps

    def check(self) -> None:
        """The promise, of the run and of each process."""
        self.check_as_straight(self.run)
        steps = self.steps_logged()
        for ended in self.ended:
            assert ended.saved >= ended.before
            # It went on from the newest checkpoint, one step after it.
            if ended.rows > ended.first_row:
                assert steps[ended.first_row] == ended.before + 1
                # One save is under way, the next waits for it: no more is repeated.
                reached = steps[ended.rows - 1]
                assert reached - ended.saved <= 2 * SAVE_EVERY

    def check_as_straight(self, run: RunFolder) -> None:
        """Losses and parameters are those of the straight run; nothing is left over."""
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
        """The newest checkpoint's step; 0 for none."""
        return latest_step(self.run.checkpoints) or 0

    def _wait_for_rows(self, rows: int, process: subprocess.Popen) -> None:
        until = time.monotonic() + PATIENCE
        while len(self.steps_logged()) < rows and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
