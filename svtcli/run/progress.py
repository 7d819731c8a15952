"""Progress reports of a stage; the terminal decides how to show them."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from svtcli.recipe.setting import counted as counted
from svtcli.recipe.setting import plural as plural


@runtime_checkable
class Progress(Protocol):
    """Receiver of progress reports. Implemented by `cli/console.py`."""

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Begin a task of `total` units; None if the number is unknown."""

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        """Report that `done` units are finished in all; `facts` are shown beside."""

    def end(self) -> None:
        """End the task, finished or not."""

    def note(self, line: str) -> None:
        """Show a line that stays on the screen."""


def about(seconds: int | float) -> str:
    """Format a rough duration: `40 s`, `12 min`, `3.5 h`, `19 days`, `300 years`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    if (hours := seconds / 3600) < 48:
        return f"{hours:.3g} h"
    if (days := hours / 24) < 730:
        return f"{days:.2g} days" if days < 100 else f"{round(days, -1):.0f} days"
    return f"{float(f'{days / 365.25:.2g}'):,.0f} years"


def listed(names: Sequence[str], most: int = 3) -> str:
    """List the first names: `a, b, c, …`."""
    return ", ".join([*names[:most], *(["…"] if names[most:] else [])])


def filtered(number: int, of: int, noun: str, pattern: str) -> str:
    """Count what a filter takes: `12 videos, 1 matches 'bunny'`."""
    verb = "matches" if number == 1 else "match"
    return f"{counted(of, noun)}, {number} {verb} '{pattern}'"


class Silent:
    """Progress that shows nothing, for tests and for use as a library."""

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None: ...

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None: ...

    def end(self) -> None: ...

    def note(self, line: str) -> None: ...
