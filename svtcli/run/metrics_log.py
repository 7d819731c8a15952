"""Metrics of a run in `metrics.jsonl`: a line per row, `{"step": 50, "loss": 2.31}`.

Lines are flushed one by one: a killed run loses at most part of the last line; a power
cut, the lines since the last `sync`. A number that is not finite is written as null, as
JSON has no NaN.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from svtcli.failure import BadData
from svtcli.run.durable import sync_file, sync_path, writing

Row = dict[str, int | float]
"""`step`, and the metrics of that step by name."""


@runtime_checkable
class Rows(Protocol):
    """Destination of rows of metrics."""

    def append(self, step: int, **values: float | int) -> None:
        """Add the row of `step`."""
        ...

    def sync(self) -> None:
        """Flush every row to the disk."""
        ...


@dataclass(frozen=True)
class Together:
    """Several destinations of the same rows, or none."""

    logs: tuple[Rows, ...]

    def append(self, step: int, **values: float | int) -> None:
        """Add the row of `step` to each."""
        for log in self.logs:
            log.append(step, **values)

    def sync(self) -> None:
        """Flush the rows of each to the disk."""
        for log in self.logs:
            log.sync()


class MetricsLog:
    """Context manager that appends rows to the file `path`."""

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
        """Flush every row to the disk."""
        with writing(self._path):
            sync_file(self._file)
        # Names of the file, of the run, and of the folder of runs.
        for folder in self._path.absolute().parents[:3]:
            sync_path(folder)

    def __exit__(self, *_: object) -> None:
        with writing(self._path):
            self._file.close()


def read_metrics(path: Path) -> list[Row]:
    """Rows in order of steps, one a step; [] if there is no file.

    Rows of one step (training, validation) are merged. A resumed run repeats steps: the
    last value of a name counts. null is read as NaN. Errors: BadData for a line that is
    not a row, except an incomplete last line.
    """
    latest: dict[int | float, Row] = {}
    for row in read_rows(path):
        latest.setdefault(row["step"], {}).update(row)
    return [latest[step] for step in sorted(latest)]


def read_rows(path: Path) -> list[Row]:
    """Every row as it was written, repeated steps too; else as `read_metrics`."""
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
    """Remove the incomplete last line that a killed process left."""
    if path.is_file():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))


@dataclass(frozen=True)
class Goodput:
    """Seconds since the first step, and how many of them were productive."""

    wall: float
    """Seconds from the first step to the last row, stops included."""
    productive: float
    """Seconds of steps that were taken for the first time."""
    replayed: int
    """Number of steps that were taken again after a stop."""

    @property
    def share(self) -> float:
        """Fraction of time that was productive."""
        return self.productive / self.wall if self.wall else 1.0


def goodput(rows: Sequence[Row]) -> Goodput | None:
    """Goodput according to `read_rows`; None if no row has a time.

    A row stands for all steps since the one before, so losses shorter than the distance
    of two rows are not seen.
    """
    timed = [row for row in rows if "time" in row and "steps_per_second" in row]
    if not timed:
        return None
    productive, replayed, reached, before = 0.0, 0, 0, 0
    begun = timed[0]["time"] - timed[0]["step"] / timed[0]["steps_per_second"]
    for row in timed:
        step, rate = int(row["step"]), row["steps_per_second"]
        if step > reached:
            productive += (step - reached) / rate
            reached = step
        else:
            # The first row after a stop resumed somewhere after the row before it.
            replayed += step - before if step > before else 1
        before = step
    return Goodput(timed[-1]["time"] - begun, productive, replayed)
