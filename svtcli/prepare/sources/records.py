"""What sources of TFRecord files share: finding them, records → clips."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from svtcli.clips.format import ClipFacts
from svtcli.failure import BadData, Refused
from svtcli.prepare.plan import Cut, Miss, Outcome, Task, beside
from svtcli.prepare.sources.tf_example import BadExample, Example, parse_example
from svtcli.prepare.sources.tfrecord import BadRecord, count_records, read_records
from svtcli.prepare.sources.where import inside

FILES_A_SHARD = 4
"""About 1000 videos: both publishers put some 200 to 256 into a file."""


@dataclass(frozen=True)
class RecordFile:
    """A TFRecord file, or a member of a tar that is one."""

    path: Path
    offset: int
    size: int
    name: str
    """The same wherever the file lies; no two of a source have the same."""

    def count(self, named: int = 1) -> int:
        """How many records there are.

        Where that cannot be told, because the file is broken or empty: the `named`
        number, but more than were found before the damage.
        """
        try:
            found = count_records(self.path, self.offset, self.size)
        except BadRecord as damage:
            return max(named, damage.record + 1)
        except OSError:
            return named
        return found or named

    def read(self) -> Iterator[bytes | BadRecord]:
        """Its records. Errors: `OSError`."""
        return read_records(self.path, self.offset, self.size)


class Unusable(BadData):
    """A record that gives no clip, and why in a word and in a line."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Video:
    """One clip, and the numbers that go with each of its frames."""

    facts: ClipFacts
    pixels: UInt8[np.ndarray, "F H W 3"]
    beside: Mapping[str, Float[np.ndarray, "F A"]] = field(default_factory=dict)


VideoOf = Callable[[int, Example], Video]
"""Makes a clip of record i. Errors: `Unusable`."""


def videos_of(
    file: RecordFile, units: int, video_of: VideoOf
) -> Iterator[Video | Miss]:
    """What the first `units` records of a file give, or why they do not."""
    number = 0
    try:
        for record in file.read():
            if number == units:
                return
            if isinstance(record, BadRecord):
                lost = units - number if record.rest else 1
                yield Miss(file.name, "decode", record.detail, None, number, lost)
                if record.rest:
                    return
            else:
                yield _video(file.name, number, record, video_of)
            number += 1
    except OSError as error:
        detail = f"cannot be read ({error.strerror})"
        yield Miss(file.name, "open", detail, None, number or None, units - number)
        return
    if not number:
        yield Miss(file.name, "open", "holds no records", lost=units)
    elif number < units:
        detail = f"ends after {number} records, {units} were counted"
        yield Miss(file.name, "decode", detail, None, number, units - number)


def _video(name: str, number: int, record: bytes, video_of: VideoOf) -> Video | Miss:
    try:
        return video_of(number, parse_example(record))
    except BadExample as damage:
        return Miss(name, "decode", damage.sentence, record=number)
    except Unusable as damage:
        return Miss(name, damage.reason, damage.detail, record=number)


def write_videos(
    frames: Path, split: str, names: Iterable[str], given: Iterable[Video | Miss]
) -> Outcome:
    """Append videos to a task's files as they come; `names` are the files beside."""
    cuts, misses, first = list[Cut](), list[Miss](), 0
    with ExitStack() as stack:
        file = stack.enter_context(frames.open("xb"))
        others = {
            name: stack.enter_context(beside(frames, name).open("xb")) for name in names
        }
        for video in given:
            if isinstance(video, Miss):
                misses.append(video)
                continue
            file.write(np.ascontiguousarray(video.pixels).data)
            for name, other in others.items():
                other.write(video.beside[name].astype("<f4").tobytes())
            cuts.append(Cut(split, first, len(video.pixels), video.facts))
            first += len(video.pixels)
    return Outcome(first, tuple(cuts), tuple(misses))


def one_bytes(example: Example, key: str) -> bytes | None:
    """The bytes under a key; None where there are none."""
    value = example.get(key)
    return value[0] if isinstance(value, list) and value and value[0] else None


def numbers(
    example: Example, keys: Iterable[str], size: int, missing: str
) -> Float[np.ndarray, "F A"]:
    """`size` finite floats from each key. Errors: `Unusable`, `missing` its reason."""
    rows, names = [], list(keys)
    for key in names:
        value = example.get(key)
        if value is None:
            raise Unusable(missing, f"has no {key}")
        if isinstance(value, list) or value.dtype != np.float32 or len(value) != size:
            raise Unusable("decode", f"{key} is not {size} floats")
        rows.append(value)
    table = np.stack(rows)
    if not np.isfinite(table).all():
        broken = names[int(np.flatnonzero(~np.isfinite(table).all(1))[0])]
        raise Unusable("decode", f"{broken} is not finite")
    return table


def files_below(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Files whose whole path below `folder` ends in what matches, sorted by path.

    Links out of the folder are not followed, and hidden folders not entered.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not pattern.search(f"/{path.relative_to(folder).as_posix()}"):
                continue
            if path.is_file() and inside(folder, path):
                found.append(path)
    return found


def only_once(names: Iterable[tuple[str, Path]]) -> None:
    """Refuse two files of one name, which would give two clips of one name."""
    seen = dict[str, Path]()
    for name, path in names:
        if name in seen:
            raise Refused(
                f"{name} is there twice: {seen[name]} and {path}",
                "keep one of them, or name the folder of one: --source DIR",
            )
        seen[name] = path


def first_units(counts: Iterable[int], limit: int | None) -> list[int]:
    """How many units of each file are taken so that all are at most `limit`.

    Files that are not needed for that are not counted.
    """
    if limit is None:
        return list(counts)
    taken, left = list[int](), limit
    for count in counts:
        taken.append(min(count, left))
        left -= taken[-1]
        if not left:
            break
    return taken


def in_shards(
    tasks: list[Task], a_shard: int = FILES_A_SHARD
) -> list[tuple[Task, ...]]:
    """Tasks in their order, so many in each shard."""
    return [tuple(tasks[i : i + a_shard]) for i in range(0, len(tasks), a_shard)]


def want_splits(wanted: Iterable[str], there: Iterable[str], where: Path) -> None:
    """Refuse splits whose files are not in the source."""
    found = [split for split in wanted if split in set(there)]
    missing = [split for split in wanted if split not in found]
    if missing:
        leave_out = f", or leave it out: data.splits=[{', '.join(found)}]"
        raise Refused(
            f"{where}: no files of {' and '.join(missing)} there",
            "get the files that are missing" + (leave_out if found else ""),
        )
