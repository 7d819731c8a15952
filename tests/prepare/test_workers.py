import errno
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing import spawn
from pathlib import Path

import pytest
from pebble.pool.process import Acknowledgement, WorkerManager

from svtcli.prepare.plan import Outcome, Promise
from svtcli.prepare.workers import NoWorkers, Worker, outcomes


@dataclass(frozen=True)
class Job:
    """A task that does what its name says."""

    source: str
    units: int = 1
    files: tuple[Path, ...] = ()

    def promise(self) -> Promise:
        return Promise(0, 0)

    def run(self, frames: Path) -> Outcome:
        frames.write_bytes(self.source.encode())
        match self.source.split()[0]:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                time.sleep(600)
            case "signal":
                os.kill(os.getpid(), int(self.source.split()[1]))
            case "raise":
                raise OSError(28, "No space left on device", str(frames))
        return Outcome(frames=len(self.source))


def test_a_crash_and_a_hang_lose_only_their_own_task(tmp_path: Path) -> None:
    names = [f"work {i}" for i in range(12)]
    names[3], names[7], names[8] = "crash", "hang", "crash again"
    results = outcomes([Job(name) for name in names], tmp_path, 2, time_limit=4.0)
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


def test_a_crash_is_blamed_on_its_task_before_pebble_hears_of_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = WorkerManager.receive

    def late(manager: WorkerManager, timeout: float) -> object:
        message = read(manager, timeout)
        if isinstance(message, Acknowledgement):
            time.sleep(0.5)
        return message

    monkeypatch.setattr(WorkerManager, "receive", late)
    jobs = [Job("crash"), Job("work")]
    crash, work = (out for _, out, _ in outcomes(jobs, tmp_path, 1, time_limit=60.0))
    assert [failure.reason for failure in crash.failures] == ["crash"]
    assert work == Outcome(frames=4)


def test_an_error_in_a_worker_is_raised_and_ends_them_all(tmp_path: Path) -> None:
    jobs = [Job("work"), Job("raise"), *[Job("hang")] * 5]
    results = outcomes(jobs, tmp_path, 2, time_limit=600.0)
    next(results)
    start = time.monotonic()
    with pytest.raises(OSError, match="No space left"):
        next(results)
    assert time.monotonic() - start < 300


def test_workers_that_cannot_start_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "python"
    closed.write_text("not a program")
    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(closed))
    started = outcomes([Job(f"work {i}") for i in range(20)], tmp_path, 2, 600.0)
    with pytest.raises(NoWorkers) as caught:
        next(started)
    assert str(caught.value) == (
        f"worker processes do not start: {closed}: Permission denied"
    )


def test_processes_that_the_system_refuses_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(worker: Worker) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(Worker, "start", refuse)
    with pytest.raises(NoWorkers, match="Resource temporarily unavailable"):
        next(outcomes([Job("work")], tmp_path, 2, 600.0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_stop_do_not_reach_the_workers(
    number: signal.Signals, tmp_path: Path
) -> None:
    jobs = [Job(f"signal {number}"), Job("work")]
    for _, outcome, _ in outcomes(jobs, tmp_path, 1, 600.0):
        assert not outcome.failures
