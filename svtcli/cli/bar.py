"""Progress as a bar on a terminal, and as a few plain lines on a pipe."""

import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from svtcli.cli.quantities import amount, duration, size

LINE_SECONDS = 30.0
LINE_SHARE = 0.05
SHORTEST = 1.0
"""Seconds between two lines: what is faster needs none but the last."""
NARROW = 60
"""Columns of a terminal from which on there is room for a bar, rate and facts."""
SHORT = 8
"""Letters of a task's name that are shown on any terminal."""
NUMBERS = (28, 54)
"""Columns that the numbers may need: on a narrow terminal, and on a usual one."""


class Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        """For example `3.1 steps/s`; empty before the first measurement."""
        rate = task.finished_speed or task.speed
        unit = task.fields["unit"]
        label = "" if unit == "bytes" else f" {unit}"
        return Text(f"{amount(rate, unit)}{label}/s" if rate else "")


class Count(ProgressColumn):
    """How much is done, and of how much."""

    def render(self, task: Task) -> Text:
        """For example `12/240` or `1.2 GB/30 GB`."""
        unit = task.fields["unit"]
        of = "?" if task.total is None else _exact(task.total, unit)
        return Text(f"{_exact(task.completed, unit)}/{of}")


class Bar:
    """A live bar: share done, rate, time left, and the stage's facts."""

    def __init__(self, color: bool = True) -> None:
        # None leaves it to $NO_COLOR.
        no_color = None if color else True
        self._console = Console(
            stderr=True, no_color=no_color, highlight=False, emoji=False
        )
        self._live: RichProgress | None = None

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Open the bar; a bar still open is closed first."""
        self.end()
        self._live = RichProgress(
            *self._columns(),
            console=self._console,
            redirect_stdout=False,
        )
        self._task = self._live.add_task(
            self._fitting(task), total=total, unit=unit, facts=""
        )
        self._live.start()

    def _columns(self) -> list[ProgressColumn]:
        """As many as there is room for: what and how far always, then the time left."""
        width = self._console.width
        ascii_only = not self._console.encoding.startswith("utf")
        columns: list[ProgressColumn] = [
            TextColumn("{task.description}", markup=False),
            TaskProgressColumn(table_column=_whole()),
            Count(table_column=_whole()),
            TimeRemainingColumn(table_column=_whole()),
        ]
        if width >= NARROW:
            columns.insert(0, SpinnerColumn("line" if ascii_only else "dots"))
            columns.insert(2, BarColumn(bar_width=None))
            columns.insert(5, Rate(table_column=_whole()))
            columns.append(TextColumn("{task.fields[facts]}", markup=False))
        return columns

    def _fitting(self, task: str) -> str:
        """The task's name, cut where the numbers need the room."""
        return task[: max(self._room(), SHORT)].rstrip()

    def _room(self) -> int:
        """Columns that the numbers leave."""
        width = self._console.width
        return width - NUMBERS[width >= NARROW]

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        """Move the bar to `done`; `facts` stay until they change."""
        if self._live is None:
            return
        self._live.update(self._task, completed=done)
        if facts is not None:
            room = self._room() - len(self._live.tasks[self._task].description)
            self._live.update(self._task, facts=_join(facts)[: max(room, 0)].rstrip())

    def end(self) -> None:
        """Close the bar where it stands."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def note(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(line, markup=False, soft_wrap=True)


def _whole() -> Column:
    """Of a table: never broken into two lines."""
    return Column(no_wrap=True, overflow="crop")


class Lines:
    """One line every 30 seconds or 5 %, whichever comes first; the last one too.

    A short task does not say more than a line a second.
    """

    def __init__(
        self,
        every_update: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_update = every_update
        self._clock = clock
        self._task: str | None = None

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Remember the task; its first line comes with its first news."""
        self.end()
        self._task, self._total, self._unit = task, total, unit
        self._start_done: int | None = None
        self._said_done, self._said_at = 0, self._clock()
        self._facts, self._told_end = "", False
        self.note(task)

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        """Say where the task stands, if a line is due."""
        if self._task is None:
            return
        if facts is not None:
            self._facts = _join(facts)
        now = self._clock()
        if self._start_done is None:
            # A resumed task starts at its old count; the rate must not include it.
            self._start_done, self._start_at, self._said_done = done, now, done
        if self._is_due(done, now):
            self.note(self._line(done, now))
            self._said_done, self._said_at = done, now
            self._told_end = done == self._total

    def end(self) -> None:
        """Forget the task."""
        self._task = None

    def note(self, line: str) -> None:
        """The line as it is."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def _is_due(self, done: int, now: float) -> bool:
        if self._every_update:
            return True
        if done == self._total:
            return not self._told_end
        waited = now - self._said_at
        moved = self._total and done - self._said_done >= LINE_SHARE * self._total
        return waited >= (SHORTEST if moved else LINE_SECONDS)

    def _line(self, done: int, now: float) -> str:
        share = f" ({done / self._total:.0%})" if self._total else ""
        unit = self._unit
        count = _exact(done, unit)
        if self._total:
            count = f"{count}/{_exact(self._total, unit)}"
        label = "" if unit == "bytes" else f" {unit}".rstrip()
        parts = [f"{self._task}: {count}{label}{share}"]
        finished = done - (self._start_done or 0)
        if finished and now > self._start_at:
            rate = finished / (now - self._start_at)
            parts.append(f"{amount(rate, unit)}/s")
            if self._total:
                parts.append(f"{duration((self._total - done) / rate)} left")
        return " · ".join([*parts, self._facts] if self._facts else parts)


def _exact(count: int | float, unit: str) -> str:
    """A count to the last one; bytes are rounded."""
    return size(count) if unit == "bytes" else f"{count:.0f}"


def _join(facts: Mapping[str, str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in facts.items())
