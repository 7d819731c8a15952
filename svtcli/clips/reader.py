"""Read prepared clips: any frames of any clip of one split.

Frames come straight from the files of shards, or are generated from digits, and no clip
costs memory before it is asked for. A clip is compared with its checksum when it is
read first; the small files of a shard, when the split is opened.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import prod
from pathlib import Path
from typing import TypeVar, overload
from weakref import finalize

import google_crc32c
import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt32

from svtcli.clips.format import (
    FLOAT,
    HEADER,
    PIXEL,
    BouncingDigits,
    ClipFacts,
    Manifest,
    Shard,
    check_shard_file,
    npy_header,
    read_checksums,
    read_facts,
    read_manifest,
    read_offsets,
    remedy,
)
from svtcli.clips.on_the_fly import (
    bouncing_clip,
    clip_rng,
    generated_facts,
    read_digits,
)
from svtcli.failure import BadData, Refused
from svtcli.run.durable import check_file, fingerprint
from svtcli.run.progress import counted, filtered

AT_ONCE = 1 << 20
"""Bytes that are copied and compared with a checksum at a time."""
FrameValues = Float[np.ndarray, "F A"]
T = TypeVar("T")


@dataclass(frozen=True)
class OnDemand(Sequence[T]):
    """A sequence whose elements are computed when they are asked for."""

    length: int
    compute: Callable[[int], T]

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        place = range(self.length)[index]
        if isinstance(place, range):
            return [self.compute(each) for each in place]
        return self.compute(place)


@dataclass(frozen=True, eq=False)
class Clips(ABC):
    """Clips of one split, numbered from 0. Holds no open file: share it freely."""

    name: str
    """Name of the dataset's folder."""
    split: str
    shape: tuple[int, int, int]
    """Height, width, channels."""
    fingerprint: str
    """Fingerprint of the split's name, of every byte it holds, and of the filter."""
    lengths: Int64[np.ndarray, " n"]
    """Frames of each clip."""
    facts: Sequence
    """`ClipFacts` of each clip, read on demand, thus not before a type check."""
    beside: dict[str, int]
    """Float32 values per frame: `actions` of a robot, `states` of its arm."""
    filtered: str = field(default="", kw_only=True)
    """Sentence on the filter: how many of how many clips it takes; empty without."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def ids(self) -> Sequence:
        """Name (`str`) of each clip, unique in the dataset; read on demand."""
        return OnDemand(len(self.facts), lambda index: self.facts[index].id)

    @property
    def action_size(self) -> int:
        """Action values per frame; 0 where there are none."""
        return self.beside.get("actions", 0)

    def recorded(self, index: int) -> int:
        """Frames of clip `index` that were recorded: all, unless it is in memory."""
        return int(self.lengths[index])

    @abstractmethod
    def read(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> UInt8[np.ndarray, "F H W C"]:
        """Read `frames` frames of clip `index` from `start` on; None: to its end."""

    def values(
        self, name: str, index: int, start: int = 0, frames: int | None = None
    ) -> FrameValues | None:
        """Read the values beside the same frames; None where there is no `name`."""
        return None

    def actions(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> FrameValues | None:
        """Read the robot's actions in the same frames, or return None."""
        return self.values("actions", index, start, frames)

    def states(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> FrameValues | None:
        """Read the positions of the robot's arm in the same frames, or return None."""
        return self.values("states", index, start, frames)

    def count(self, index: int, start: int, frames: int | None) -> int:
        """Return the number of frames of a request. Errors: `IndexError`."""
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        length = int(self.lengths[index])
        count = length - start if frames is None else frames
        if start < 0 or count < 0 or start + count > length:
            raise IndexError(f"frames {start}..{start + count} of {length}: {index}")
        return count


@dataclass(frozen=True, eq=False)
class GeneratedClips(Clips):
    """Clips of one split, generated from the digits in a prepared folder."""

    digits: Path
    drawn: BouncingDigits

    def read(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> UInt8[np.ndarray, "F H W C"]:
        count, drawn = self.count(index, start, frames), self.drawn
        return bouncing_clip(
            read_digits(self.digits, drawn.crc32c),
            clip_rng(drawn.seed, self.split, index),
            drawn.count,
            count,
            self.shape[0],
            start,
        )


@dataclass(frozen=True, eq=False)
class StoredClips(Clips):
    """Clips of one split in the shards of a prepared folder."""

    shards: tuple[Path, ...]
    """Path of each shard, without the ending."""
    shard_of: Int64[np.ndarray, " n"]
    """Number of each clip's shard."""
    offsets: Int64[np.ndarray, " n"]
    """First frame of each clip in its shard."""
    checksums: UInt32[np.ndarray, " n"]
    """CRC-32C of the frames of each clip."""
    intact: Bool[np.ndarray, " n"]
    """True for clips whose frames were compared with their checksum."""

    def read(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> UInt8[np.ndarray, "F H W C"]:
        video = np.empty((self.count(index, start, frames), *self.shape), PIXEL)
        if not self.intact[index]:
            self._check(index)
        self._read_into(video, "frames.npy", index, start)
        return video

    def _check(self, index: int) -> None:
        """Compare all frames of a clip with their checksum. Errors: `BadData`."""
        shard, row = self.shards[self.shard_of[index]], prod(self.shape)
        file = _open_file(shard, "frames.npy", self.fingerprint)
        place = HEADER + int(self.offsets[index]) * row
        now = file.checksum(place, int(self.lengths[index]) * row)
        if now != self.checksums[index]:
            path = shard.with_name(f"{shard.name}.frames.npy")
            what = f"clip {index} ({self.ids[index]}) has changed since it was prepared"
            raise BadData(f"{path}: {what}", remedy(shard.parent))
        self.intact[index] = True

    def values(
        self, name: str, index: int, start: int = 0, frames: int | None = None
    ) -> FrameValues | None:
        if name not in self.beside:
            return None
        shape = (self.count(index, start, frames), self.beside[name])
        values = np.empty(shape, FLOAT)
        self._read_into(values, f"{name}.npy", index, start)
        return values

    def _read_into(
        self, array: np.ndarray, ending: str, index: int, start: int
    ) -> None:
        shard = self.shards[self.shard_of[index]]
        # A clip takes microseconds to copy, and as many to open its file or to build
        # its path: files stay open, by the fingerprint of what is in them.
        file = _open_file(shard, ending, self.fingerprint)
        row = array.itemsize * prod(array.shape[1:])
        place = HEADER + int(self.offsets[index] + start) * row
        if not file.read_into(array.reshape(-1).view(PIXEL).data, place):
            path = shard.with_name(f"{shard.name}.{ending}")
            raise BadData(f"{path}: ends in the middle of clip {index}")

    def with_labels(self, labels: re.Pattern[str]) -> "StoredClips":
        """Keep clips whose label matches from its start. Errors: `Refused` if none."""
        kept = [
            number
            for number, facts in enumerate(self.facts)
            if facts.label is not None and labels.match(facts.label)
        ]
        if not kept:
            there = sorted({facts.label for facts in self.facts if facts.label})
            has = (
                f"{counted(len(there), 'label')}, the first is '{there[0]}'"
                if there
                else ""
            )
            raise Refused(
                f"{self.name}: no clip of split {self.split} has a label that matches "
                f"'{labels.pattern}' ({has or 'its clips carry no labels'})"
            )
        return replace(
            self,
            fingerprint=fingerprint(self.fingerprint, labels.pattern),
            lengths=self.lengths[kept],
            shard_of=self.shard_of[kept],
            offsets=self.offsets[kept],
            checksums=self.checksums[kept],
            intact=self.intact[kept],
            facts=[self.facts[number] for number in kept],
            filtered=filtered(len(kept), len(self.facts), "clip", labels.pattern),
        )


class _OpenFile:
    """A file that any thread may read anywhere; closed when nobody holds it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        finalize(self, self._file.close)

    def read_into(self, wanted: memoryview, place: int) -> bool:
        """Fill `wanted` from byte `place` on; False where the file ends before."""
        done = 0
        while done < len(wanted):
            got = os.preadv(self._file.fileno(), [wanted[done:]], place + done)
            if not got:
                return False
            done += got
        return True

    def checksum(self, place: int, size: int) -> int | None:
        """CRC-32C of `size` bytes from `place` on; None where the file ends before."""
        checksum = 0
        for first in range(0, size, AT_ONCE):
            piece = np.empty(min(AT_ONCE, size - first), PIXEL)
            if not self.read_into(piece.data, place + first):
                return None
            checksum = google_crc32c.extend(checksum, piece)
        return checksum


@lru_cache(maxsize=128)
def _open_file(shard: Path, ending: str, fingerprint: str) -> _OpenFile:
    """Open a file of a shard and keep it open. Errors: `OSError`."""
    return _OpenFile(shard.with_name(f"{shard.name}.{ending}"))


def open_clips(
    folder: Path, split: str, labels: re.Pattern[str] | None = None
) -> Clips:
    """Open one split of prepared clips, or its clips with matching `labels` only.

    Errors: `Refused` where the folder or the split does not exist, or no label matches;
    `BadData` where a file is missing or does not have the size that the manifest says.
    """
    manifest = read_manifest(folder)
    if split not in manifest.splits:
        raise Refused(
            f"{folder}: no split '{split}'; it has {', '.join(manifest.splits)}",
            "name one of these; a split that got no clip needs a larger share of the "
            "videos, or more and longer ones",
        )
    if manifest.splits[split].drawn is not None:
        if labels is not None:
            raise Refused(f"{folder}: clips of split {split} carry no labels")
        return open_generated(folder, manifest, split)
    clips = _open_stored(folder, manifest, split)
    return clips if labels is None else clips.with_labels(labels)


def open_generated(folder: Path, manifest: Manifest, split: str) -> GeneratedClips:
    """Open a split that is generated on the fly; it takes no memory per clip.

    Errors: `BadData` where the digits are missing or not those of the manifest.
    """
    clips, drawn = manifest.splits[split].clips, manifest.splits[split].drawn
    assert drawn is not None
    digits = folder / drawn.digits
    check_file(digits, drawn.crc32c, remedy(folder))
    return GeneratedClips(
        name=folder.resolve().name,
        split=split,
        shape=manifest.shape,
        fingerprint=fingerprint(manifest.fingerprint, split),
        lengths=np.broadcast_to(np.int64(drawn.frames), (clips,)),
        facts=OnDemand(clips, partial(generated_facts, split)),
        beside={},
        digits=digits,
        drawn=drawn,
    )


def _open_stored(folder: Path, manifest: Manifest, split: str) -> StoredClips:
    shards = manifest.splits[split].shards
    for shard in shards:
        _check_size(folder, shard, manifest.shape)
        for name in manifest.beside:
            check_shard_file(folder, shard, f"{name}.npy")
    each = [read_offsets(folder, shard) for shard in shards]
    paths = tuple(folder / shard.name for shard in shards)
    counts = [shard.clips for shard in shards]
    first = (0, *np.cumsum(counts).tolist())
    return StoredClips(
        name=folder.resolve().name,
        split=split,
        shape=manifest.shape,
        fingerprint=fingerprint(manifest.fingerprint, split),
        lengths=np.concatenate([np.diff(offsets) for offsets in each]),
        facts=OnDemand(first[-1], partial(_stored_facts, folder, shards, first)),
        beside=manifest.beside,
        shards=paths,
        shard_of=np.repeat(np.arange(len(shards)), counts),
        offsets=np.concatenate([offsets[:-1] for offsets in each]),
        checksums=np.concatenate([read_checksums(folder, shard) for shard in shards]),
        intact=np.zeros(first[-1], bool),
    )


def _stored_facts(
    folder: Path, shards: tuple[Shard, ...], first: tuple[int, ...], index: int
) -> ClipFacts:
    """Facts of clip `index`; shard i holds the clips first[i] … first[i + 1] − 1."""
    shard = int(np.searchsorted(first, index, side="right")) - 1
    return read_facts(folder, shards[shard])[index - first[shard]]


def _check_size(folder: Path, shard: Shard, row: tuple[int, ...]) -> None:
    """Compare header and length of the frames with the manifest's, to the byte.

    Errors: `BadData`.
    """
    path = folder / f"{shard.name}.frames.npy"
    expected = npy_header(PIXEL, (shard.frames, *row))
    size = HEADER + shard.frames * prod(row)
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
        complete = header == expected and path.stat().st_size == size
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise BadData(f"{path}: {what}", remedy(folder)) from error
    if not complete:
        what = f"not the file that was prepared (expected {size} bytes)"
        raise BadData(f"{path}: {what}", remedy(folder))
