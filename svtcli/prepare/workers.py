"""Runs tasks in processes of which any one may crash or hang.

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

from svtcli.prepare.plan import Miss, Outcome, Task

TASKS_OF_ONE_PROCESS = 200
"""Decoders leak a little; a worker is replaced after so many tasks."""
AHEAD = 4
"""Tasks in flight for each worker: bounds what lies on the disk unassembled."""
POLL = 0.1
"""Seconds between two looks for a signal, while there is nothing to do but wait."""


def run_task(task: Task, frames: Path) -> Outcome:
    """What a worker process does."""
    return task.run(frames)


def outcomes(
    tasks: Iterable[Task],
    folder: Path,
    workers: int,
    time_limit: float,
    check: Callable[[], None] = lambda: None,
) -> Generator[tuple[Task, Outcome, Path], None, None]:
    """Each task with what it gave and the file of its frames, in the order of `tasks`.

    A task that takes its worker with it, or more than `time_limit` seconds, gives a
    `Miss`. Any other exception in a worker is raised here. The file of the frames, and
    what lies beside it, is gone as soon as the next result is asked for. `check` is
    called often, and may raise to stop.
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
                args = (task, frames)
                future = pool.schedule(run_task, args=args, timeout=time_limit)
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
        # Whoever is still at work now, is for a consumer that has gone.
        pool.stop()
        pool.join()


def _outcome(task: Task, future: Future[Outcome], time_limit: float) -> Outcome:
    try:
        return future.result()
    except TimeoutError:
        detail = f"took more than {time_limit:g} s"
        return lost(task, "timeout", detail)
    except ProcessExpired as error:
        detail = f"took its process with it (exit code {error.exitcode})"
        return lost(task, "crash", detail)


def lost(task: Task, reason: str, detail: str) -> Outcome:
    """The outcome of a task that gave nothing at all."""
    return Outcome(misses=(Miss(task.source, reason, detail, lost=task.units),))
