"""Run tasks in worker processes, any of which may crash or hang.

pebble's pool restarts a dead worker and blames only the task in hand; the pools of the
standard library hang or break when a decoder crashes. Signals to stop often reach a
whole group of processes: they are blocked in the workers, which only this one ends.
"""

import os
import subprocess
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import resource_tracker, spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from svtcli.failure import Failure
from svtcli.prepare.plan import Failed, Outcome, Task
from svtcli.run.signals import blocked

TASKS_OF_ONE_PROCESS = 200
"""Tasks after which a worker is replaced: decoders leak a little."""
AHEAD = 4
"""Tasks in flight for each worker: bounds the frames that wait on the disk."""
POLL = 0.1
"""Seconds between two checks for a signal."""


class NoWorkers(Failure):
    """No worker process can be started."""


class Worker(SpawnProcess):
    """Process that signals to stop do not reach, from its first moment on."""

    def start(self) -> None:
        """Start the process."""
        with blocked():
            super().start()

    def terminate(self) -> None:
        """End the process: it would not notice SIGTERM."""
        self.kill()


class Workers(SpawnContext):
    """Context in which processes are of the class `Worker`."""

    Process = Worker


def outcomes(
    tasks: Iterable[Task],
    folder: Path,
    workers: int,
    time_limit: float,
    check: Callable[[], None] = lambda: None,
) -> Generator[tuple[Task, Outcome, Path], None, None]:
    """Yield each task with its outcome and the file of its frames, in order.

    A task that crashes its worker, or takes more than `time_limit` seconds, gives a
    `Failed`. Any other exception in a worker is raised here. The files of the frames
    are removed when the next result is asked for. `check` is called often, and may
    raise to stop. Errors: `NoWorkers`.
    """
    numbered = ((task, folder / f"{i:08d}.frames") for i, task in enumerate(tasks))
    with blocked():  # in the process that watches over semaphores, too
        resource_tracker.ensure_running()
    pool = ProcessPool(
        max_workers=workers,
        max_tasks=TASKS_OF_ONE_PROCESS,
        context=Workers(),
    )
    waiting: deque[tuple[Task, Path, Future[Outcome]]] = deque()
    try:
        while True:
            check()
            for task, frames in islice(numbered, AHEAD * workers - len(waiting)):
                future = _scheduled(pool, task, frames, time_limit)
                waiting.append((task, frames, future))
            if not waiting:
                break
            task, frames, future = waiting.popleft()
            while not wait((future,), POLL).done:
                check()
                if not pool.active:
                    raise BrokenProcessPool
            try:
                yield task, _outcome(task, future, time_limit), frames
            finally:
                for file in folder.glob(f"{frames.stem}.*"):
                    file.unlink()
    except BrokenProcessPool as error:
        raise NoWorkers(f"worker processes do not start: {_reason(error)}") from error
    finally:
        # Nobody waits for the results of tasks that still run.
        pool.stop()
        pool.join()


def _scheduled(
    pool: ProcessPool, task: Task, frames: Path, time_limit: float
) -> Future[Outcome]:
    """Schedule a task. Errors: BrokenProcessPool."""
    try:
        return pool.schedule(task.run, args=(frames,), timeout=time_limit)
    except RuntimeError as error:  # so pebble says of a pool that broke before
        raise BrokenProcessPool from error.__cause__


def _reason(error: BrokenProcessPool) -> str:
    """Find out why no worker process runs."""
    if isinstance(error.__cause__, OSError):
        return str(error.__cause__.strerror)
    interpreter = os.fsdecode(spawn.get_executable())
    try:
        run = subprocess.run(  # noqa: S603
            [interpreter, "-c", ""], capture_output=True, text=True
        )
    except OSError as refused:
        return f"{interpreter}: {refused.strerror}"
    said = run.stderr.strip().splitlines()[-1:] or ["one ended before its first task"]
    return f"{interpreter}: {said[0]}"


def _outcome(task: Task, future: Future[Outcome], time_limit: float) -> Outcome:
    try:
        return future.result()
    except TimeoutError:
        reason, detail = "timeout", f"took more than {time_limit:g} s"
    except ProcessExpired as error:
        reason, detail = "crash", f"crashed its process (exit code {error.exitcode})"
    return Outcome(failures=(Failed(task.source, reason, detail, lost=task.units),))
