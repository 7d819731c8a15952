"""Partial results, from which a stopped command resumes.

A job array is the same command as several tasks, each with its share of the pieces.

.NAME.work/                        beside the result NAME until that is complete
.NAME.work/GROUP-PLAN-ROWS.npy     some finished rows (see `PartialResult.add`)
.NAME.work/.lock                   held by a process that works alone, or looks around
.NAME.work/task-I-of-N-PLAN/.lock  held by a task of a job array while it works
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from svtcli.failure import Locked, Refused, StorageFailed
from svtcli.run.cache import ArrayStore
from svtcli.run.lock import LOCK, LOCK_FILES, is_held, only_writer
from svtcli.run.signals import StopSignals

PATIENCE = 60.0
"""Seconds that a task waits for another one to look around."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class ArrayTask:
    """Task `index`, from 0, of `count`: it takes every `count`-th piece of the work."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"

    @classmethod
    def from_flags(cls, index: int | None, count: int | None) -> "ArrayTask | None":
        """Task given by `--task-index` and `--task-count`; None without them.

        Errors: Refused if only one is given, or the index is too large.
        """
        if (index is None) != (count is None):
            raise Refused("--task-index and --task-count go together")
        if index is None or count is None:
            return None
        if index >= count:
            raise Refused(f"--task-index {index}: the last one is {count - 1}")
        return cls(index, count)

    def share(self, pieces: int) -> range:
        """Numbers of this task's pieces, out of `pieces`."""
        return range(self.index, pieces, self.count)


@dataclass(frozen=True)
class Unfinished:
    """A result to which other tasks of a job array still have to add."""

    out: Path
    done: int
    """Number of finished pieces."""
    of: int


@dataclass(frozen=True)
class Steps(Generic[Result]):
    """Functions of a stage that lead to its result."""

    found: Callable[[], Result | None]
    """Return the result if it is complete already."""
    compute: Callable[[StopSignals], None]
    """Add the missing pieces, of a task only its share."""
    publish: Callable[[], Result | None]
    """Gather all pieces and publish the result; None while a piece is missing."""


@dataclass(frozen=True)
class WorkFolder(ABC):
    """Folder in which one result is computed: by one process, or by tasks together."""

    out: Path
    """Path of the result."""
    plan: str
    """Fingerprint of everything that the result depends on."""
    kind: ClassVar[str]
    """Name of the result for messages: `samples`."""

    @property
    def folder(self) -> Path:
        """Path of the pieces; hidden, since it is no result yet."""
        return self.out.parent / f".{self.out.name}.work"

    @property
    def guard(self) -> Path:
        """Folder with the lock that protects the result."""
        return self.folder

    @property
    def mark(self) -> str:
        """Suffix of a task's folder: tasks of another plan have another one."""
        return self.plan[:12]

    @abstractmethod
    def begin(self) -> None:
        """Remove everything but the pieces of this plan; nobody else is at work."""

    @abstractmethod
    def is_worth_keeping(self) -> bool:
        """Return True if a later call can resume from what is in the folder."""

    def complete(self, steps: Steps[Result]) -> Result:
        """Return the result: found complete, or computed now and published.

        A signal during publishing is obeyed afterwards. Errors: Stopped; Locked;
        StorageFailed if a piece cannot be read back.
        """
        with StopSignals() as stop, self._at_work():
            if (result := steps.found()) is not None:
                return result
            with self._alone():
                if (result := steps.found()) is not None:  # by another process
                    return result
                steps.compute(stop)
                result = steps.publish()
            if result is None:
                raise StorageFailed(f"{self.folder}: does not hold what was written")
            stop.check(f"{self.out} is complete")
        return result

    def complete_task(self, task: ArrayTask, steps: Steps[Result]) -> Result | None:
        """Do the share of a task of a job array; return the result if it is complete.

        Whichever task ends last publishes the result, and the others return None.
        Errors: Stopped; Locked; Refused while tasks of another plan are at work.
        """
        with StopSignals() as stop, self._at_work():
            if (result := steps.found()) is not None:
                return result
            with self._as_task(task):
                if (result := steps.found()) is not None:
                    return result
                steps.compute(stop)
            with only_writer(self.guard, PATIENCE):
                if (result := steps.found()) is None:
                    result = steps.publish()
            done = f"{self.out} is complete" if result else "this task's share is done"
            stop.check(done)
        return result

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Leave no folder behind that holds nothing to resume from."""
        inside_out = (self.folder, *self.folder.parents)
        new = [folder for folder in inside_out if not folder.exists()]
        try:
            yield
        finally:
            self._sweep()
            with suppress(OSError):  # a folder that is not empty stays
                for folder in new:
                    if folder.exists():
                        folder.rmdir()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only process at work here. Errors: Locked."""
        with only_writer(self.guard):
            if tasks := self._tasks():
                in_use = f"{self.out}: in use by {len(tasks)} of a job array"
                raise Locked(in_use, "wait for them")
            self.begin()
            yield

    @contextmanager
    def _as_task(self, task: ArrayTask) -> Iterator[None]:
        """Be one of several tasks at work on this plan.

        Errors: Locked if the same task is at work already, or another one looks around
        for too long; Refused while tasks of another plan are at work.
        """
        with ExitStack() as own:
            with only_writer(self.guard, PATIENCE):
                tasks = self._tasks()
                if any(not name.endswith(self.mark) for name in tasks):
                    raise Refused(
                        f"{self.out}: other {self.kind} are being computed here"
                    )
                if not tasks:
                    self.begin()
                place = self.folder / f"task-{task}-{self.mark}"
                own.enter_context(only_writer(place))
            yield

    def _tasks(self) -> list[str]:
        """Names of the tasks of a job array that are at work here."""
        places = self.folder.glob("task-*")
        return [place.name for place in places if is_held(place)]

    def _sweep(self) -> None:
        """Remove the folder if it is of no use and nobody is at work there."""
        if not self.guard.exists():
            return
        with suppress(Locked, OSError), only_writer(self.guard):
            useful = self._tasks() or self.is_worth_keeping()
            if self.folder.exists() and not useful:
                shutil.rmtree(self.folder)
            if all(file.name in LOCK_FILES for file in self.guard.glob("*")):
                (self.guard / LOCK).unlink(missing_ok=True)


class PartialResult(WorkFolder):
    """Finished rows of a result, each saved as soon as its batch is computed.

    Rows stand by themselves: a resumed command may use another batch size, other
    devices or other tasks. A damaged file counts as missing.
    """

    @property
    def _store(self) -> ArrayStore:
        return ArrayStore(self.folder)

    def begin(self) -> None:
        """Remove everything but the pieces of this plan; nobody else is at work."""
        for place in self.folder.iterdir():
            if place.is_dir():
                shutil.rmtree(place)
            elif place.name not in LOCK_FILES and not self._holds(place):
                place.unlink()

    def is_worth_keeping(self) -> bool:
        """Return True if there are finished rows, and no result yet."""
        files = (place for place in self.folder.glob("*") if place.is_file())
        return not self.out.exists() and any(map(self._holds, files))

    def add(
        self, rows: Int[np.ndarray, " n"], group: str = "all", **values: NDArray
    ) -> None:
        """Save the `values` of finished `rows`: arrays that have one entry per row.

        Groups are counted apart, as the models that score the same clips.
        """
        columns = {"row": rows.astype(np.int64), **values}
        records = np.empty(
            len(rows), [(name, a.dtype, a.shape[1:]) for name, a in columns.items()]
        )
        for name, column in columns.items():
            records[name] = column
        which = sha256(columns["row"].tobytes()).hexdigest()[:16]
        self._store.put(f"{self._start(group)}{which}", records)

    def finished(self, group: str = "all") -> Int[np.ndarray, " n"]:
        """Numbers of the finished rows, ascending."""
        rows = [piece["row"] for piece in self._pieces(group)]
        return np.unique(np.concatenate([np.empty(0, np.int64), *rows]))

    def gather(
        self, rows: Int[np.ndarray, " n"], group: str = "all"
    ) -> np.ndarray | None:
        """Records of `rows`, in that order, by the names passed to `add`.

        None while one is missing.
        """
        records, there = None, np.zeros(len(rows), bool)
        order = np.argsort(rows)
        for piece in self._pieces(group):
            wanted = piece[np.isin(piece["row"], rows)]
            place = order[np.searchsorted(rows, wanted["row"], sorter=order)]
            if records is None:
                records = np.empty(len(rows), piece.dtype)
            new = ~there[place]
            records[place[new]] = wanted[new]
            there[place] = True
        return records if there.all() else None

    def _holds(self, place: Path) -> bool:
        """Return True for an undamaged piece of this plan."""
        ours = place.suffix == ".npy" and f"-{self.plan[:32]}-" in place.stem
        return ours and self._store.get(place.stem) is not None

    def _pieces(self, group: str) -> Iterator[np.ndarray]:
        for key in self._store.keys(self._start(group)):
            if (piece := self._store.get(key)) is not None:
                yield piece

    def _start(self, group: str) -> str:
        return f"{group}-{self.plan[:32]}-"
