"""`metrics.jsonl`: one JSON object per line, `{"step": 50, "loss": 2.31, ...}`.

A line is flushed as it is written, so that a killed run loses at most a torn last line;
after a power cut the lines are there that were written before the last `sync`.
A number that is not finite is written as null: JSON has no NaN.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, runtime_checkable

from svtcli.failure import BadData
from svtcli.run.durable import sync_file, sync_path, writing

Row = dict[str, int | float]
"""`step` and whatever else a stage measured there."""


@runtime_checkable
class Rows(Protocol):
    """Whatever takes rows of metrics."""

    def append(self, step: int, **values: float | int) -> None:
        """Add the row of `step`."""
        ...

    def sync(self) -> None:
        """Wait until every row is on the disk."""
        ...


@dataclass(frozen=True)
class Together:
    """Several that take the same rows, or none that takes any."""

    logs: tuple[Rows, ...]

    def append(self, step: int, **values: float | int) -> None:
        """Add the row of `step` to each."""
        for log in self.logs:
            log.append(step, **values)

    def sync(self) -> None:
        """Wait until the rows of each are on the disk."""
        for log in self.logs:
            log.sync()


class MetricsLog:
    """Appends rows to `path` while it is open as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "MetricsLog":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _drop_torn_line(self._path)
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def append(self, step: int, **values: float | int) -> None:
        """Add the row of `step`."""
        finite = {
            name: float(value) if math.isfinite(value) else None
            for name, value in values.items()
        }
        with writing(self._path):
            self._file.write(json.dumps({"step": int(step), **finite}) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Wait until every row is on the disk."""
        with writing(self._path):
            sync_file(self._file)
        # Its own name, that of the run, and of the folder of runs.
        for folder in self._path.absolute().parents[:3]:
            sync_path(folder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with writing(self._path):
            self._file.close()


def read_metrics(path: Path) -> list[Row]:
    """The rows in order of steps; [] when there is no file yet.

    A step may have several rows, one beside the other: of training, of validation. A
    resumed run repeats steps: the last value of a name counts. null reads as NaN.
    Errors: BadData for a line that is not a row, unless it is a torn last line.
    """
    latest: dict[int | float, Row] = {}
    for row in read_rows(path):
        latest.setdefault(row["step"], {}).update(row)
    return [latest[step] for step in sorted(latest)]


def read_rows(path: Path) -> list[Row]:
    """Every row as it was written, repeated steps too; otherwise as `read_metrics`."""
    if not path.is_file():
        return []
    text = path.read_bytes().decode("utf-8", errors="replace")
    whole_lines = text.split("\n")[:-1]
    return [_row(path, number, line) for number, line in enumerate(whole_lines, 1)]


def _row(path: Path, number: int, line: str) -> Row:
    try:
        row: Row = {
            name: math.nan if value is None else value + 0
            for name, value in json.loads(line).items()
        }
        row["step"] = int(row["step"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path}:{number}: not a row of metrics") from error
    return row


def _drop_torn_line(path: Path) -> None:
    """Cut what a killed process left after the last whole line."""
    if path.is_file():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
