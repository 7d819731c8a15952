import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from svtcli.prepare.plan import Outcome, Promise
from svtcli.prepare.workers import outcomes


@dataclass(frozen=True)
class Job:
    """A task that does what its name says."""

    source: str
    units: int = 1

    def promise(self) -> Promise:
        return Promise(0, 0)

    def run(self, frames: Path) -> Outcome:
        frames.write_bytes(self.source.encode())
        match self.source.split()[0]:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                time.sleep(600)
            case "raise":
                raise OSError(28, "No space left on device", str(frames))
        return Outcome(frames=len(self.source))


def test_a_crash_and_a_hang_lose_only_their_own_task(tmp_path: Path) -> None:
    names = [f"work {i}" for i in range(12)]
    names[3], names[7], names[8] = "crash", "hang", "crash again"
    results = outcomes([Job(name) for name in names], tmp_path, 2, time_limit=10.0)
    for name, (task, outcome, frames) in zip(names, results, strict=True):
        assert task.source == name
        if name.startswith("work"):
            assert outcome == Outcome(frames=len(name))
            assert frames.read_text() == name
        else:
            (failure,) = outcome.failures
            assert failure.source == name
            assert failure.reason == ("timeout" if name == "hang" else "crash")
            assert failure.unreadable
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_worker_is_raised_and_ends_them_all(tmp_path: Path) -> None:
    jobs = [Job("work"), Job("raise"), *[Job("hang")] * 5]
    results = outcomes(jobs, tmp_path, 2, time_limit=600.0)
    next(results)
    start = time.monotonic()
    with pytest.raises(OSError, match="No space left"):
        next(results)
    assert time.monotonic() - start < 300
