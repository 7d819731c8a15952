"""How a stage tells what it is doing; the terminal decides how that looks."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """What a stage may say while it works. Implemented by `cli/console.py`."""

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        """A task starts; `total` in units of `unit`, None when it is not known."""
        ...

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        """`done` units are finished in all; `facts` are shown beside them."""
        ...

    def end(self) -> None:
        """The task is over, finished or not."""
        ...

    def note(self, line: str) -> None:
        """A line that should stay on the screen."""
        ...


class Silent:
    """Progress that says nothing, for tests and for use as a library."""

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None: ...

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None: ...

    def end(self) -> None: ...

    def note(self, line: str) -> None: ...
