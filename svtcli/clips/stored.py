"""Clips that lie in shards: frames are read from the file, and nothing else is."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from threading import Lock
from typing import overload
from weakref import finalize

import numpy as np
from jaxtyping import Int64, UInt8

from svtcli.clips.manifest import Manifest, Shard
from svtcli.clips.reader import Clips, Numbers
from svtcli.clips.writer import HEADER, ClipFacts, npy_header
from svtcli.failure import BadData, Refused
from svtcli.run.fingerprint import fingerprint

FLOAT = np.dtype("<f4")
BYTE = np.dtype(np.uint8)


class OpenFile:
    """A file that any thread may read anywhere; closed when nobody holds it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._moving = Lock()
        finalize(self, self._file.close)

    def read_into(self, wanted: memoryview, place: int) -> bool:
        """Fill `wanted` from byte `place` on; False where the file ends before."""
        done = 0
        while done < len(wanted):
            if not (got := self._read_some(wanted[done:], place + done)):
                return False
            done += got
        return True

    def _read_some(self, wanted: memoryview, place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [wanted], place)
        with self._moving:  # Windows: a file has one position for all threads
            self._file.seek(place)
            return self._file.readinto(wanted) or 0


@lru_cache(maxsize=128)
def open_file(shard: Path, ending: str, fingerprint: str) -> OpenFile:
    """A file of a shard, kept open between reads. Errors: `OSError`."""
    return OpenFile(shard.with_name(f"{shard.name}.{ending}"))


@dataclass(frozen=True, eq=False)
class StoredClips(Clips):
    """Clips of one split in the shards of a prepared folder."""

    shards: tuple[Path, ...]
    """Path of each shard, without the ending."""
    shard_of: Int64[np.ndarray, " n"]
    """Number of each clip's shard."""
    offsets: Int64[np.ndarray, " n"]
    """First frame of each clip in its shard."""

    def read(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> UInt8[np.ndarray, "F H W C"]:
        video = np.empty((self.count(index, start, frames), *self.shape), BYTE)
        self._read_into(video, "frames.npy", index, start)
        return video

    def numbers(
        self, name: str, index: int, start: int = 0, frames: int | None = None
    ) -> Numbers | None:
        if name not in self.beside:
            return None
        shape = (self.count(index, start, frames), self.beside[name])
        numbers = np.empty(shape, FLOAT)
        self._read_into(numbers, f"{name}.npy", index, start)
        return numbers

    def _read_into(
        self, array: np.ndarray, ending: str, index: int, start: int
    ) -> None:
        shard = self.shards[self.shard_of[index]]
        # A clip takes microseconds to copy, and as many to open its file or to build
        # its path: files stay open, by the fingerprint of what is in them.
        file = open_file(shard, ending, self.fingerprint)
        row = array.itemsize * prod(array.shape[1:])
        place = HEADER + int(self.offsets[index] + start) * row
        if not file.read_into(array.reshape(-1).view(BYTE).data, place):
            name = f"{shard.name}.{ending}"
            raise BadData(
                f"{shard.with_name(name)}: ends in the middle of clip {index}"
            )

    def chosen(self, labels: re.Pattern[str]) -> "StoredClips":
        """Those whose label matches from its start. Errors: `Refused` if none does."""
        fit = [
            number
            for number, facts in enumerate(self.facts)
            if facts.label is not None and labels.match(facts.label)
        ]
        if not fit:
            raise Refused(
                f"{self.name}: no clip of split {self.split} has a label that matches "
                f"'{labels.pattern}' ({self._labels_in_words()})"
            )
        return replace(
            self,
            fingerprint=fingerprint(self.fingerprint, labels.pattern),
            lengths=self.lengths[fit],
            shard_of=self.shard_of[fit],
            offsets=self.offsets[fit],
            facts=[self.facts[number] for number in fit],
        )

    def _labels_in_words(self) -> str:
        labels = sorted({facts.label for facts in self.facts if facts.label})
        if not labels:
            return "its clips carry no labels"
        return f"{len(labels)} labels, the first is '{labels[0]}'"


@dataclass(frozen=True)
class MetaLines(Sequence[ClipFacts]):
    """The lines of all `meta.jsonl` files of a split, read when they are asked for."""

    shards: tuple[Path, ...]
    first: tuple[int, ...]
    """Number of each shard's first clip, and after the last how many there are."""

    def __len__(self) -> int:
        return self.first[-1]

    @overload
    def __getitem__(self, index: int) -> ClipFacts: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ClipFacts]: ...
    def __getitem__(self, index: int | slice) -> ClipFacts | Sequence[ClipFacts]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = int(np.searchsorted(self.first, index, side="right")) - 1
        clips = self.first[shard + 1] - self.first[shard]
        return read_facts(self.shards[shard], clips)[index - self.first[shard]]


@lru_cache(maxsize=4)
def read_facts(shard: Path, clips: int) -> list[ClipFacts]:
    """What is known of each clip of a shard. Errors: `BadData`."""
    path = shard.with_name(f"{shard.name}.meta.jsonl")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        facts = [ClipFacts(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    if len(facts) != clips:
        raise BadData(f"{path}: {len(facts)} lines for {clips} clips")
    return facts


def open_stored(folder: Path, manifest: Manifest, split: str) -> StoredClips:
    """The clips in the shards of a split.

    Errors: `BadData` where a file is missing or does not have the manifest's size.
    """
    shards = manifest.splits[split].shards
    for shard in shards:
        _check_size(folder, shard, "frames.npy", BYTE, manifest.shape)
        for name, size in manifest.beside.items():
            _check_size(folder, shard, f"{name}.npy", FLOAT, (size,))
        if not (meta := folder / f"{shard.name}.meta.jsonl").is_file():
            raise BadData(f"{meta}: is missing")
    each = [read_offsets(folder, shard) for shard in shards]
    paths = tuple(folder / shard.name for shard in shards)
    counts = [shard.clips for shard in shards]
    return StoredClips(
        name=folder.resolve().name,
        split=split,
        shape=manifest.shape,
        fingerprint=fingerprint(manifest.fingerprint, split),
        lengths=np.concatenate([np.diff(offsets) for offsets in each]),
        facts=MetaLines(paths, (0, *np.cumsum(counts).tolist())),
        beside=manifest.beside,
        shards=paths,
        shard_of=np.repeat(np.arange(len(shards)), counts),
        offsets=np.concatenate([offsets[:-1] for offsets in each]),
    )


def _check_size(
    folder: Path, shard: Shard, ending: str, dtype: np.dtype, row: tuple[int, ...]
) -> None:
    """Header and length must be those of the shard's frames, to the byte."""
    path = folder / f"{shard.name}.{ending}"
    expected = npy_header(dtype, (shard.frames, *row))
    size = HEADER + shard.frames * dtype.itemsize * int(np.prod(row))
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
        whole = header == expected and path.stat().st_size == size
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror})") from error
    if not whole:
        raise BadData(
            f"{path}: not the file that was prepared (expected {size} bytes)",
            "prepare the clips again with --force",
        )


def read_offsets(folder: Path, shard: Shard) -> Int64[np.ndarray, " n"]:
    """Where each clip of a shard begins, and where the last one ends.

    Errors: `BadData`.
    """
    path = folder / f"{shard.name}.offsets.npy"
    try:
        offsets = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    ends = offsets.shape == (shard.clips + 1,) and offsets[[0, -1]].tolist()
    if ends != [0, shard.frames] or not (np.diff(offsets) > 0).all():
        raise BadData(f"{path}: not the offsets of {shard.clips} clips")
    return offsets
