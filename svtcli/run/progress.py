"""Progress reports of a stage; the terminal decides how to show them."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Receiver of progress reports. Implemented by `cli/console.py`."""

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Begin a task of `total` units; None if the number is unknown."""
        ...

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        """Report that `done` units are finished in all; `facts` are shown beside."""
        ...

    def end(self) -> None:
        """End the task, finished or not."""
        ...

    def note(self, line: str) -> None:
        """Show a line that stays on the screen."""
        ...


class Silent:
    """Progress that shows nothing, for tests and for use as a library."""

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None: ...

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None: ...

    def end(self) -> None: ...

    def note(self, line: str) -> None: ...
