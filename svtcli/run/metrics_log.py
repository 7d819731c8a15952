"""Metrics of a run in `metrics.jsonl`: `{"step": 50, "loss": 2.31, "crc32c": "…"}`.

Lines, one a row, are flushed one by one: a killed run loses at most part of the last
line; a power cut, the lines since the last `sync`. A number that is not finite is
written as null, as JSON has no NaN.

`crc32c` is the CRC-32C of all rows up to this one, each without its own: a row that was
changed or lost is noticed. `metrics.end.json` says how many rows there were at the last
`sync`, so that lost last rows are noticed too.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import google_crc32c

from svtcli.failure import BadData
from svtcli.run.durable import (
    read_record,
    sync_file,
    sync_path,
    write_record,
    writing,
)

Row = dict[str, int | float]
"""`step`, and the metrics of that step by name."""
CHECKSUM = ', "crc32c": '
"""End of a line's values."""


class End(NamedTuple):
    """End of a log: its number of rows and their checksum."""

    rows: int = 0
    """Number of rows."""
    crc32c: int = 0
    """Checksum of all of them."""

    def after(self, values: bytes) -> "End":
        """End after one more row; `values` is its line before the checksum."""
        return End(self.rows + 1, google_crc32c.extend(self.crc32c, values))


@runtime_checkable
class Rows(Protocol):
    """Destination of rows of metrics."""

    def append(self, step: int, **values: float | int) -> None:
        """Add the row of `step`."""

    def sync(self) -> None:
        """Flush every row to the disk."""


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
    """Context manager that appends rows to the file `path`.

    Errors: BadData for a log with changed or lost rows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "MetricsLog":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        *_, self._end = [End(), *(end for _, end in _checked_rows(self._path))]
        _drop_torn_line(self._path)
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def append(self, step: int, **values: float | int) -> None:
        """Add the row of `step`."""
        finite = {
            name: float(value) if math.isfinite(value) else None
            for name, value in values.items()
        }
        line = json.dumps({"step": int(step), **finite}).removesuffix("}")
        self._end = self._end.after(line.encode())
        with writing(self._path):
            self._file.write(f'{line}{CHECKSUM}"{self._end.crc32c:08x}"}}\n')
            self._file.flush()

    def sync(self) -> None:
        """Flush every row to the disk."""
        with writing(self._path):
            sync_file(self._file)
        # Names of the file, of the run, and of the folder of runs.
        for folder in self._path.absolute().parents[:3]:
            sync_path(folder)
        write_record(end_of(self._path), self._end._asdict())

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
    return [row for row, _ in _checked_rows(path)]


def end_of(path: Path) -> Path:
    """File with the `End` of the log at `path` when it was synced last."""
    return path.with_suffix(".end.json")


def _checked_rows(path: Path) -> list[tuple[Row, End]]:
    """Every row, compared with its checksum. Errors: BadData."""
    file = end_of(path)
    away = f"restore it from a copy, or move it and {file.name} away"
    # Before the rows: a process that trains may add to them at any moment.
    synced = End(**read_record(file, away, End._fields)) if file.is_file() else End()
    content = path.read_bytes() if path.is_file() else b""
    rows: list[tuple[Row, End]] = []
    before, checked = End(), False
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        row = _row(path, number, line, away)
        values, mark, checksum = line.rpartition(CHECKSUM.encode())
        end = before.after(values if mark else line)
        # Rows of an older svt have no checksum; none follows one that has.
        if (mark or checked) and checksum != b'"%08x"}' % end.crc32c:
            what = "this row, or one before it, was changed or lost"
            raise BadData(f"{path}:{number}: {what}", away)
        before, checked = end, bool(mark)
        rows.append((row, end))
    if synced.rows and (len(rows) < synced.rows or rows[synced.rows - 1][1] != synced):
        what = f"the last rows were lost: {len(rows)} are left of {synced.rows}"
        raise BadData(f"{path}: {what}", away)
    return rows


def _row(path: Path, number: int, line: bytes, remedy: str) -> Row:
    try:
        values = json.loads(line)
        values.pop("crc32c", None)
        row: Row = {
            name: math.nan if value is None else value + 0
            for name, value in values.items()
        }
        row["step"] = int(row["step"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path}:{number}: not a row of metrics", remedy) from error
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
