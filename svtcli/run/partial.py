"""What is finished of a result in the making: a hidden folder beside the result.

.NAME.work/                 whatever is kept, each file whole and of one plan
.NAME.work/.lock            held by whoever looks around, or is alone at work
.NAME.work/task-*/.lock     held by a task of a job array while it is at work
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from svtcli.failure import Locked, Refused
from svtcli.run.lock import NAME, is_held, only_writer


@dataclass(frozen=True)
class WorkFolder(ABC):
    """The finished part of `plan`, a fingerprint, whose result goes to `out`."""

    made: ClassVar[str]
    """What is made here, for people: `samples`."""
    out: Path
    plan: str

    @abstractmethod
    def holds(self, place: Path) -> bool:
        """Whether the file is a whole one of this plan."""

    @property
    def folder(self) -> Path:
        """Where it is; hidden, for it is no result yet."""
        return self.out.parent / f".{self.out.name}.work"

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Leave no folder behind in which nothing is kept."""
        inside_out = (self.folder, *self.folder.parents)
        new = [folder for folder in inside_out if not folder.exists()]
        try:
            yield
        finally:
            self.sweep()
            with suppress(OSError):  # what holds something stays
                for folder in new:
                    if folder.exists():
                        folder.rmdir()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one at work here. Errors: Locked."""
        with only_writer(self.folder):
            if tasks := self.tasks():
                in_use = f"{self.out}: in use by {len(tasks)} of a job array"
                raise Locked(in_use, "wait for them")
            self.begin()
            yield

    @contextmanager
    def as_task(self, name: str, patience: float) -> Iterator[None]:
        """Be one of several at work on this very plan; no two of one name.

        Waits at most `patience` seconds for those that look around. Errors: Locked;
        Refused while others work on another plan.
        """
        mark = self.plan[:12]
        with ExitStack() as own:
            with only_writer(self.folder, patience):
                tasks = self.tasks()
                if any(not task.endswith(mark) for task in tasks):
                    raise Refused(f"{self.out}: other {self.made} are being made here")
                if not tasks:
                    self.begin()
                own.enter_context(only_writer(self.folder / f"task-{name}-{mark}"))
            yield

    def begin(self) -> None:
        """Keep what is of this very plan, and nothing else.

        The caller is the only one at work here.
        """
        for place in self.folder.iterdir():
            if place.is_dir():
                shutil.rmtree(place)
            elif place.name != NAME and not self.holds(place):
                place.unlink()

    def tasks(self) -> list[str]:
        """What the tasks of a job array that are at work here are called."""
        places = self.folder.glob("task-*")
        return [place.name for place in places if is_held(place)]

    def sweep(self) -> None:
        """Remove the folder if nothing is kept in it, or no longer needed, and nobody
        is at work there."""
        if not self.folder.exists():
            return
        with suppress(Locked), only_writer(self.folder):
            files = (place for place in self.folder.iterdir() if place.is_file())
            needed = not self.out.exists() and any(map(self.holds, files))
            if not needed and not self.tasks():
                shutil.rmtree(self.folder)
