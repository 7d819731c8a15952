"""Kinetics' lists of videos: split, label and start second of each clip.

They come as CSV (`label,youtube_id,time_start,time_end,split`; the test list has no
label), or as text of the same columns with another delimiter and perhaps no header.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path

from svtcli.failure import Refused, in_words
from svtcli.run.progress import listed

SPLIT_WORDS = {
    "train": "train",
    "val": "val",
    "validate": "val",
    "validation": "val",
    "test": "test",
}
COLUMNS = {
    "id": ("youtube_id", "video_id", "videoid", "ytid"),
    "start": ("time_start", "start_time", "start"),
    "label": ("label", "class", "class_name"),
    "split": ("split", "subset"),
}
DELIMITERS = ",\t;| "
SAMPLE = 50
"""Rows that decide the columns of a table without a header."""
LONGEST = 60
"""Seconds from start to end of a clip; Kinetics' have 10."""
ID = re.compile(r"[\w-]{11}", re.ASCII)
EXPECTED = (
    "expected are rows under the header label,youtube_id,time_start,time_end,split "
    "(label and split may be absent); repair the file, or move it out of the source"
)


@dataclass(frozen=True)
class Row:
    """One listed clip."""

    id: str
    """YouTube id of the video."""
    start: int | None
    """Start of the clip in whole seconds."""
    label: str | None
    split: str | None
    """`train`, `val` or `test`, by its own column, else by the file's name."""


@dataclass(frozen=True)
class Annotations:
    """Rows of every list of a source."""

    rows: dict[tuple[str, int | None], Row] = field(default_factory=dict)
    """By id and start; the first list that names a clip counts."""
    files: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Files named after a split that are no such lists, but perhaps lists of paths."""
    contradictions: int = 0
    """Number of rows that contradict an earlier row of the same clip."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user."""
        if not self.others:
            return ()
        return (f"passed over, as they are no lists of clips: {listed(self.others)}",)

    @cached_property
    def _only(self) -> dict[str, Row | None]:
        """Rows by id, None where several clips of one video are listed."""
        only: dict[str, Row | None] = {}
        for row in self.rows.values():
            only[row.id] = None if row.id in only else row
        return only

    @cached_property
    def _labels(self) -> dict[str, str]:
        labels = sorted({row.label for row in self.rows.values() if row.label})
        return {normal(label): label for label in labels}

    def find(self, video: str, start: int | None) -> Row | None:
        """Find the row of a clip: by id and start, else by an id listed once."""
        return self.rows.get((video, start)) or self._only.get(video)

    def spelled(self, folder: str) -> str:
        """Return the label that a folder's name stands for."""
        return self._labels.get(normal(folder)) or folder.replace("_", " ")


@lru_cache(maxsize=4096)
def normal(label: str) -> str:
    """Spell a label as all layouts can: `making a cake`."""
    return " ".join(re.split(r"[^a-z0-9]+", label.lower().replace("'", ""))).strip()


def split_in(name: str) -> str | None:
    """Return the split that is one of the words of `name`; None if not exactly one."""
    words = re.split(r"[^a-z]+", name.lower())
    splits = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def read_annotations(folder: Path, names: Iterable[str]) -> Annotations:
    """Read the lists among the files `names` below `folder`; ignore other files.

    Errors: `Refused`, with the line.
    """
    rows: dict[tuple[str, int | None], Row] = {}
    files, others, contradictions = list[str](), list[str](), 0
    for name in sorted(names):
        read = False
        for row in read_table(folder / name):
            read = True
            first = rows.setdefault((row.id, row.start), row)
            contradictions += (first.split, first.label) != (row.split, row.label)
        if read:
            files.append(name)
        elif split_in(Path(name).stem):
            others.append(name)
    return Annotations(rows, tuple(files), tuple(others), contradictions)


def read_table(path: Path) -> Iterator[Row]:
    """Yield the rows of one file; none where it is no list of clips.

    A file without a header can be one only if it is named after a split. Errors:
    `Refused`.
    """
    split, line, form = split_in(path.stem), 0, None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = [text for text in islice(file, SAMPLE) if text.strip()]
            if not sample:
                return
            form = _with_header(sample[0]) or (_by_shape(sample) if split else None)
            if form is None:
                return
            file.seek(0)
            table = csv.reader(file, delimiter=form.delimiter)
            filled = (row for row in table if any(field.strip() for field in row))
            for fields in islice(filled, 1 if form.header else 0, None):
                line = table.line_num
                yield form.row(fields, split)
    except (ValueError, csv.Error) as error:
        if form is None:
            return
        raise Refused(f"{path}, line {line}: {in_words(error)}", EXPECTED) from error
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({in_words(error)})") from error


@dataclass(frozen=True)
class _Form:
    """Delimiter and columns of a table."""

    delimiter: str
    header: bool
    columns: dict[str, int]

    def row(self, fields: list[str], split: str | None) -> Row:
        """Parse a line. Errors: ValueError."""
        if len(fields) <= max(self.columns.values()):
            raise ValueError("too few columns")
        texts = {name: fields[at].strip() for name, at in self.columns.items()}
        if not texts["id"]:
            raise ValueError("no id")
        start, label = texts.get("start"), texts.get("label") or ""
        return Row(
            texts["id"],
            _seconds(start) if start else None,
            # The number of a class is no label.
            None if label.isdecimal() else label or None,
            split_in(texts.get("split") or "") or split,
        )


def _seconds(text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no number of seconds") from None


def _with_header(line: str) -> _Form | None:
    """Parse a header; None if the line is none."""
    for delimiter in DELIMITERS:
        names = [name.strip().lower() for name in _cut(line, delimiter)]
        columns = {
            column: next(names.index(name) for name in known if name in names)
            for column, known in COLUMNS.items()
            if set(known) & set(names)
        }
        if "id" in columns:
            return _Form(delimiter, True, columns)
    return None


def _by_shape(lines: list[str]) -> _Form | None:
    """Guess the columns of a list without header; None if it is no list of clips.

    One column holds ids; two columns of numbers are start and end, and other numbers
    those of classes or frames; other columns are labels or splits.
    """
    for delimiter in DELIMITERS:
        rows = [[text.strip() for text in _cut(line, delimiter)] for line in lines]
        if len({len(row) for row in rows}) != 1:
            continue
        by_kind: dict[str, list[int]] = {}
        for at, column in enumerate(zip(*rows, strict=True)):
            by_kind.setdefault(_kind(column), []).append(at)
        numbers = by_kind.pop("number", [])
        if len(numbers) > 1 and all(
            0 < float(row[numbers[1]]) - float(row[numbers[0]]) <= LONGEST
            for row in rows
        ):
            by_kind["start"] = numbers
        once = all(len(by_kind.get(kind, ())) <= 1 for kind in ("id", "label"))
        if "id" in by_kind and len(by_kind) > 1 and once:
            columns = {kind: places[0] for kind, places in by_kind.items()}
            return _Form(delimiter, False, columns)
    return None


def _kind(column: Iterable[str]) -> str:
    """Classify a column by its texts."""
    texts = list(column)
    if all(text.lower() in SPLIT_WORDS for text in texts):
        return "split"
    if all(re.fullmatch(r"\d+(\.\d*)?", text) and len(text) < 11 for text in texts):
        return "number"
    if all(ID.fullmatch(text) for text in texts):
        return "id"
    return "label"


def _cut(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])
