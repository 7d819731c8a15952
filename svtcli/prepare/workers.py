"""Run tasks in worker processes, any of which may crash or hang.

pebble's pool restarts a dead worker and blames only the task in hand; the pools of the
standard library hang or break when a decoder crashes. Signals to stop often reach a
whole group of processes: they are blocked in the workers, which only this one ends.
"""

import math
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import active_children, resource_tracker, spawn
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
GRACE = 1.0
"""Seconds in which the last message of a worker that crashed is read."""


class NoWorkers(Failure):
    """No worker process can be started."""


class Worker(SpawnProcess):
    """Process that signals to stop do not reach, from its first moment on."""

    _killed = False
    _crashed_at = math.inf

    def start(self) -> None:
        """Start the process."""
        with blocked():
            super().start()

    def terminate(self) -> None:
        """End the process: it would not notice SIGTERM."""
        self._killed = True
        self.kill()

    def is_alive(self) -> bool:
        """Whether the process runs, or crashed less than `GRACE` seconds ago.

        pebble takes a worker that ends before the message that it took a task is read
        for one that never started.
        """
        if super().is_alive():
            return True
        if self._killed or self.exitcode == 0:
            return False
        now = time.monotonic()
        self._crashed_at = min(self._crashed_at, now)
        return now - self._crashed_at < GRACE


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
    if not os.access(spawn.get_executable(), os.X_OK):
        raise _no_workers()
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
        raise _no_workers(error.__cause__) from error
    finally:
        # Nobody waits for the results of tasks that still run, and a worker that starts
        # would miss what `join` removes.
        pool.stop()
        for process in active_children():
            if isinstance(process, Worker):
                process.kill()
        pool.join()


def _scheduled(
    pool: ProcessPool, task: Task, frames: Path, time_limit: float
) -> Future[Outcome]:
    """Schedule a task. Errors: BrokenProcessPool."""
    try:
        return pool.schedule(task.run, args=(frames,), timeout=time_limit)
    except RuntimeError as error:  # so pebble says of a pool that broke before
        raise BrokenProcessPool from error.__cause__


def _no_workers(cause: BaseException | None = None) -> NoWorkers:
    """Error that tells why no worker process runs; `cause` is the system's, if any."""
    interpreter = os.fsdecode(spawn.get_executable())
    why = "one ended before its first task"
    if isinstance(cause, OSError):
        why = str(cause.strerror)
    else:
        try:
            run = subprocess.run(  # noqa: S603
                [interpreter, "-c", ""], capture_output=True, text=True
            )
            why = (run.stderr.strip().splitlines() or [why])[-1]
        except OSError as refused:
            why = f"{interpreter}: {refused.strerror}"
    return NoWorkers(f"worker processes do not start: {why}")


def _outcome(task: Task, future: Future[Outcome], time_limit: float) -> Outcome:
    try:
        return future.result()
    except TimeoutError:
        reason, detail = "timeout", f"took more than {time_limit:g} s"
    except ProcessExpired as error:
        reason, detail = "crash", f"crashed its process (exit code {error.exitcode})"
    return Outcome(failures=(Failed(task.source, reason, detail, lost=task.units),))
