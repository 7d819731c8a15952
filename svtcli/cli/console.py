"""What the terminal shows: results on stdout, everything else on stderr.

One `Settings` holds for the process; `cli/app.py` sets it from the global flags before
a command runs.
"""

import json
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from svtcli.cli import ascii as signs
from svtcli.run.progress import Progress, Silent

NARROWEST = 16
"""Letters in a column; below that a table is left as wide as it is."""


@dataclass(frozen=True)
class Settings:
    """The global flags."""

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    color: bool = True
    debug: bool = False


_settings = Settings()


def configure(settings: Settings) -> None:
    """Make `settings` hold for what is shown from now on."""
    global _settings
    _settings = settings
    logging.basicConfig(
        level=logging.INFO if settings.verbose else logging.WARNING,
        format="%(name)s: %(message)s",
        force=True,
    )
    signs.spell_out(sys.stdout, sys.stderr)


def settings() -> Settings:
    """The settings in force."""
    return _settings


def progress() -> Progress:
    """How a stage's progress looks here: a bar, plain lines, or nothing with -q."""
    from svtcli.cli.bar import Bar, Lines

    if _settings.quiet:
        return Silent()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Bar(color=_settings.color)
    return Lines(every_update=_settings.verbose)


def note(line: str) -> None:
    """One line for the person, on stderr; nothing with -q."""
    if not _settings.quiet:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def show(text: str, data: Mapping[str, object]) -> None:
    """The result on stdout: `text`, or `data` as one JSON object under --json."""
    shown = json.dumps(dict(data), default=str) if _settings.json else text
    print(shown.rstrip("\n"), flush=True)  # noqa: T201


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    data: Mapping[str, object],
) -> None:
    """A table as the result; numbers stand to the right. `title` may be empty."""
    show("" if _settings.json else table(title, columns, rows), data)


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    width: int | None = None,
) -> str:
    """The lines of a table: a header, and cells two spaces apart.

    Where it is wider than `width`, by default that of the terminal if stdout is one,
    its last column is broken into several lines.
    """
    cells = [tuple(columns), *(tuple(map(str, row)) for row in rows)]
    cells = _within(cells, width or _terminal_width())
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [
        bool(rows) and all(_is_number(value) for value in column)
        for column in zip(*rows, strict=True)
    ] or [False] * len(columns)
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join([title, *lines] if title else lines)


def _within(cells: list[tuple[str, ...]], width: int | None) -> list[tuple[str, ...]]:
    """The rows, of which the last cells are broken so that all fit into `width`."""
    if width is None or not cells[0]:
        return cells
    taken = sum(
        max(map(len, column)) + 2 for column in list(zip(*cells, strict=True))[:-1]
    )
    left = width - taken
    if left < NARROWEST:
        return cells
    empty = ("",) * (len(cells[0]) - 1)
    broken = []
    for *others, last in cells:
        lines = textwrap.wrap(last, left, break_on_hyphens=False) or [""]
        broken.append((*others, lines[0]))
        broken += [(*empty, line) for line in lines[1:]]
    return broken


def _terminal_width() -> int | None:
    """Columns of the terminal; None where stdout is a pipe or a file."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _is_number(value: object) -> bool:
    """A number, or its text ("3.21")."""
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def paint(text: str, code: str) -> str:
    """`text` in an ANSI style, where stderr is a terminal that wants colour."""
    colored = _settings.color and not os.environ.get("NO_COLOR")
    if not (colored and sys.stderr.isatty()):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
