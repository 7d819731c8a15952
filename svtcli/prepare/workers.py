"""Run tasks in worker processes, any of which may crash or hang.

pebble's pool restarts a dead worker and blames only the task in hand; the pools of the
standard library hang or break when a decoder crashes.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from svtcli.prepare.plan import Failed, Outcome, Task

TASKS_OF_ONE_PROCESS = 200
"""Tasks after which a worker is replaced: decoders leak a little."""
AHEAD = 4
"""Tasks in flight for each worker: bounds the frames that wait on the disk."""
POLL = 0.1
"""Seconds between two checks for a signal."""


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
    raise to stop.
    """
    numbered = ((task, folder / f"{i:08d}.frames") for i, task in enumerate(tasks))
    pool = ProcessPool(
        max_workers=workers,
        max_tasks=TASKS_OF_ONE_PROCESS,
        context=get_context("spawn"),
    )
    waiting: deque[tuple[Task, Path, Future[Outcome]]] = deque()
    try:
        while True:
            for task, frames in islice(numbered, AHEAD * workers - len(waiting)):
                future = pool.schedule(task.run, args=(frames,), timeout=time_limit)
                waiting.append((task, frames, future))
            if not waiting:
                break
            task, frames, future = waiting.popleft()
            check()
            while not wait((future,), POLL).done:
                check()
            try:
                yield task, _outcome(task, future, time_limit), frames
            finally:
                for file in folder.glob(f"{frames.stem}.*"):
                    file.unlink()
    finally:
        # Nobody waits for the results of tasks that still run.
        pool.stop()
        pool.join()


def _outcome(task: Task, future: Future[Outcome], time_limit: float) -> Outcome:
    try:
        return future.result()
    except TimeoutError:
        reason, detail = "timeout", f"took more than {time_limit:g} s"
    except ProcessExpired as error:
        reason, detail = "crash", f"crashed its process (exit code {error.exitcode})"
    return Outcome(failures=(Failed(task.source, reason, detail, lost=task.units),))
