"""Problems of a recipe: `file:line:column: sentence`, with a caret."""

from collections.abc import Sequence
from dataclasses import dataclass

from svtcli.failure import Refused

MOST_SHOWN = 120
"""Maximum number of characters of a line that a message shows."""


@dataclass(frozen=True)
class Place:
    """A position in a text; line and column count from 1, columns in characters."""

    origin: str
    """Path of the file, or `override`."""
    line: int
    column: int
    source_line: str

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}"

    def caret(self) -> str:
        """Source line, or its part around the column, with a caret below."""
        fits = len(self.source_line) <= MOST_SHOWN
        start = 0 if fits else max(0, self.column - 1 - MOST_SHOWN // 2)
        shown = "".join(
            char if char.isprintable() or char == "\t" else "?"
            for char in self.source_line[start : start + MOST_SHOWN]
        )
        before = shown[: self.column - 1 - start]
        padding = "".join(char if char == "\t" else " " for char in before)
        return f"    {shown}\n    {padding}^"


@dataclass(frozen=True)
class Problem:
    """A problem and its place."""

    place: Place
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}\n{self.place.caret()}"


class BadRecipe(Refused):
    """Raised for an invalid recipe; `problems` are in the order of the text."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(
            sorted(
                dict.fromkeys(problems),
                key=lambda problem: (
                    problem.place.origin,
                    problem.place.line,
                    problem.place.column,
                ),
            )
        )
        count = len(self.problems)
        head = [f"{count} problems in the recipe"] if count > 1 else []
        super().__init__("\n".join([*head, *map(str, self.problems)]))
