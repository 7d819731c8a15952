"""Videos in TFRecord files, unpacked or inside a tar: shared by the robot datasets."""

import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from svtcli.clips.format import FLOAT, ClipFacts, Layout
from svtcli.failure import BadData, Refused, in_words
from svtcli.prepare.plan import (
    Cut,
    Failed,
    Group,
    Outcome,
    Plan,
    Promise,
    Task,
    beside,
    group_tasks,
    spec_of,
)
from svtcli.prepare.sources.tfrecord import (
    BadExample,
    BadRecord,
    Example,
    count_records,
    parse_example,
    read_records,
)
from svtcli.recipe.data import BairData, RobotPushData
from svtcli.run.durable import fingerprint

FILES_A_SHARD = 4
"""Most files of a shard, about 1000 videos: both publishers put 200 to 256 into one."""
TAR_BLOCK = 512


@dataclass(frozen=True)
class RecordFile:
    """A TFRecord file, or a member of a tar that is one."""

    path: Path
    offset: int
    size: int
    name: str
    """Name that does not depend on the folder; unique in a source."""
    expected: int = 1
    """Number of videos that its name announces."""

    def count(self) -> int:
        """Return the number of records.

        Of a damaged or empty file: the expected number, but more than were found before
        the damage.
        """
        try:
            found = count_records(self.path, self.offset, self.size)
        except BadRecord as damage:
            return max(self.expected, damage.record + 1)
        except OSError:
            return self.expected
        return found or self.expected

    def read(self) -> Iterator[bytes | BadRecord]:
        """Yield its records. Errors: `OSError`."""
        return read_records(self.path, self.offset, self.size)


class Unusable(BadData):
    """A record that gives no clip; `reason` is one word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class RecordVideo:
    """One clip, and the values that go with each of its frames."""

    facts: ClipFacts
    pixels: UInt8[np.ndarray, "F H W 3"]
    beside: Mapping[str, Float[np.ndarray, "F A"]] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordTask(ABC):
    """Prepares the first `units` videos of one TFRecord file."""

    file: RecordFile
    split: str
    units: int

    @property
    def source(self) -> str:
        return self.file.name

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.file.path,)

    @abstractmethod
    def promise(self) -> Promise:
        """Estimate clips and frames, see `Task`."""

    @abstractmethod
    def video(self, number: int, example: Example) -> RecordVideo:
        """Convert record `number`. Errors: `Unusable`."""

    def run(self, frames: Path) -> Outcome:
        return write_videos(frames, self.split, ("actions", "states"), self._videos())

    def _videos(self) -> Iterator[RecordVideo | Failed]:
        """Yield the video of each record, or the reason why it has none."""
        name, units, number = self.source, self.units, 0
        try:
            for record in self.file.read():
                if number == units:
                    return
                if isinstance(record, BadRecord):
                    lost = units - number if record.rest else 1
                    yield Failed(name, "decode", record.detail, None, number, lost)
                    if record.rest:
                        return
                else:
                    yield self._video(number, record)
                number += 1
        except OSError as error:
            detail = f"cannot be read ({in_words(error)})"
            yield Failed(name, "open", detail, None, number or None, units - number)
            return
        if not number:
            yield Failed(name, "open", "holds no records", lost=units)
        elif number < units:
            detail = f"ends after {number} records, {units} were counted"
            yield Failed(name, "decode", detail, None, number, units - number)

    def _video(self, number: int, record: bytes) -> RecordVideo | Failed:
        try:
            return self.video(number, parse_example(record))
        except BadExample as damage:
            return Failed(self.source, "decode", damage.sentence, record=number)
        except Unusable as damage:
            return Failed(self.source, damage.reason, damage.detail, record=number)


def write_videos(
    frames: Path,
    split: str,
    names: Iterable[str],
    videos: Iterable[RecordVideo | Failed],
) -> Outcome:
    """Append videos to a task's files as they come; `names` are the files beside."""
    cuts, failures, first = list[Cut](), list[Failed](), 0
    with ExitStack() as stack:
        file = stack.enter_context(frames.open("xb"))
        others = {
            name: stack.enter_context(beside(frames, name).open("xb")) for name in names
        }
        for video in videos:
            if isinstance(video, Failed):
                failures.append(video)
                continue
            file.write(np.ascontiguousarray(video.pixels).data)
            for name, other in others.items():
                other.write(video.beside[name].astype(FLOAT).tobytes())
            cuts.append(Cut(split, first, len(video.pixels), video.facts))
            first += len(video.pixels)
    return Outcome(first, tuple(cuts), tuple(failures))


def first_bytes(example: Example, key: str) -> bytes | None:
    """Return the bytes under a key; None where there are none."""
    value = example.get(key)
    return value[0] if isinstance(value, list) and value and value[0] else None


def float_rows(
    example: Example, keys: Iterable[str], size: int, missing: str
) -> Float[np.ndarray, "F A"]:
    """Stack `size` finite floats of each key.

    Errors: `Unusable`, with the reason `missing` where a key is absent.
    """
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
        invalid = names[int(np.flatnonzero(~np.isfinite(table).all(1))[0])]
        raise Unusable("decode", f"{invalid} is not finite")
    return table


@runtime_checkable
class _File(Protocol):
    """A file or folder of videos."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int | str: ...
    def count(self) -> int: ...


F = TypeVar("F", bound=_File)


def plan_files(
    data: BairData | RobotPushData,
    files: Sequence[tuple[str, F]],
    task: Callable[[F, str, int], Task],
    layout: Layout,
    pixels: str,
    notes: Iterable[str],
) -> Plan:
    """Plan the wanted splits of `files` (split, file); `task` takes the first units."""
    groups, counts, videos = list[Group](), dict[str, int](), dict[str, int]()
    for split in data.splits:
        own = [file for its_split, file in files if its_split == split]
        units = first_units((file.count() for file in own), data.limit)
        tasks = [task(file, split, n) for file, n in zip(own, units, strict=False)]
        groups += group_tasks(tasks, FILES_A_SHARD, split)
        counts[split], videos[split] = len(own), sum(units)
    used = [(file.name, file.size) for split, file in files if split in data.splits]
    return Plan(
        spec=spec_of(data),
        inventory=fingerprint(used),
        layout=layout,
        groups=tuple(groups),
        unit="videos",
        pixels=pixels,
        notes=tuple(notes),
        findings={"files": counts, "videos": videos},
    )


def first_units(counts: Iterable[int], limit: int | None) -> list[int]:
    """Share `limit` units among files in their order; None takes all.

    Files after the limit are not counted.
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


def require_splits(wanted: Iterable[str], there: Iterable[str], where: Path) -> None:
    """Refuse splits whose files are not in the source."""
    found = [split for split in wanted if split in set(there)]
    missing = [split for split in wanted if split not in found]
    if missing:
        leave_out = f", or leave it out: data.splits=[{', '.join(found)}]"
        raise Refused(
            f"{where}: no files of {' and '.join(missing)} there",
            "get the files that are missing" + (leave_out if found else ""),
        )


def tar_members(path: Path, address: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset and size of each regular file in a tar, without unpacking.

    A name is only compared, never used as a path. Errors: `Refused` for a tar that is
    compressed, damaged or cut off; its hint names `address`.
    """
    again = f"get it again from {address}, or let --download do it"
    there = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.size < 0:
                    raise Refused(f"{path}: the tar is damaged ({member.name})", again)
                end = member.offset_data + member.size
                if member.isreg() and end > there:
                    raise Refused(
                        f"{path}: the tar is cut off: {there:,} bytes, and "
                        f"{member.name} ends at {end:,}",
                        again,
                    )
                if member.isreg() and not member.issparse():
                    yield member.name, member.offset_data, member.size
            end = tar.offset
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise Refused(
            f"{path}: not a complete, uncompressed tar ({in_words(error)})", again
        ) from None
    # tarfile takes a damaged header for the end.
    with path.open("rb") as file:
        file.seek(end)
        if file.read(TAR_BLOCK).strip(b"\0"):
            raise Refused(f"{path}: the tar is damaged at byte {end:,}", again)
