"""Reads prepared clips: any frames of any clip, without reading the rest."""

import json
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from svtcli.data.manifest import Manifest, Shard, read_manifest, verify
from svtcli.data.shards import HEADER, ClipFacts, ShardWriter, npy_header
from svtcli.failure import BadData, Refused
from svtcli.run.fingerprint import fingerprint

__all__ = [
    "ClipFacts",
    "Clips",
    "Manifest",
    "ShardWriter",
    "open_clips",
    "read_manifest",
    "verify",
]


@dataclass(frozen=True)
class Clips:
    """The clips of one split, numbered from 0. Holds no open file: share it freely."""

    name: str
    """The dataset's folder name."""
    split: str
    shape: tuple[int, int, int]
    """Height, width, channels."""
    fingerprint: str
    """Of the split's name and of every byte it holds."""
    lengths: tuple[int, ...]
    """Frames of each clip."""
    ids: tuple[str, ...]
    """Name of each clip, unique in the dataset."""
    facts: tuple[ClipFacts, ...]
    """Where each clip comes from."""
    action_size: int
    """Numbers per frame beside the pixels; 0 where there are none."""
    shards: tuple[Path, ...]
    """Path of each shard, without the ending."""
    first_clips: tuple[int, ...]
    """Number of each shard's first clip."""
    offsets: tuple[int, ...]
    """First frame of each clip in its shard."""

    def __len__(self) -> int:
        return len(self.lengths)

    def read(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> UInt8[np.ndarray, "F H W C"]:
        """`frames` frames of clip `index` from `start` on; None reads to its end."""
        count = self._count(index, start, frames)
        video = np.empty((count, *self.shape), np.uint8)
        self._read_into(video, "frames.npy", index, start)
        return video

    def actions(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> Float[np.ndarray, "F A"] | None:
        """The actions of the same frames, or None where the dataset has none."""
        if not self.action_size:
            return None
        count = self._count(index, start, frames)
        actions = np.empty((count, self.action_size), "<f4")
        self._read_into(actions, "actions.npy", index, start)
        return actions

    def _count(self, index: int, start: int, frames: int | None) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        length = self.lengths[index]
        count = length - start if frames is None else frames
        if start < 0 or count < 0 or start + count > length:
            raise IndexError(f"frames {start}..{start + count} of {length}: {index}")
        return count

    def _read_into(
        self, array: np.ndarray, ending: str, index: int, start: int
    ) -> None:
        # Opening costs microseconds; a file kept open would be one of thousands.
        shard = self.shards[bisect_right(self.first_clips, index) - 1]
        path = shard.with_name(f"{shard.name}.{ending}")
        row = array.itemsize * int(np.prod(array.shape[1:]))
        wanted = array.reshape(-1).view(np.uint8).data
        with path.open("rb", buffering=0) as file:
            file.seek(HEADER + (self.offsets[index] + start) * row)
            done = 0
            while done < len(wanted):
                if not (got := file.readinto(wanted[done:])):
                    raise BadData(f"{path}: ends in the middle of clip {index}")
                done += got


def open_clips(folder: Path, split: str) -> Clips:
    """The clips of one split of a prepared folder.

    Errors: `Refused` where the folder or the split does not exist; `BadData` where a
    file is missing or does not have the size that the manifest says.
    """
    manifest = read_manifest(folder)
    if split not in manifest.splits:
        raise Refused(
            f"{folder}: no split '{split}'; it has {', '.join(manifest.splits)}"
        )
    shards = manifest.splits[split].shards
    offsets = [_offsets(folder, shard) for shard in shards]
    for shard in shards:
        _check_size(folder, shard, "frames.npy", np.dtype(np.uint8), manifest.shape)
        if manifest.actions:
            row = (manifest.actions,)
            _check_size(folder, shard, "actions.npy", np.dtype("<f4"), row)
    facts = tuple(line for shard in shards for line in _facts(folder, shard))
    return Clips(
        name=folder.resolve().name,
        split=split,
        shape=manifest.shape,
        fingerprint=fingerprint(manifest.fingerprint, split),
        lengths=tuple(int(n) for each in offsets for n in np.diff(each)),
        ids=tuple(line.id for line in facts),
        facts=facts,
        action_size=manifest.actions,
        shards=tuple(folder / shard.name for shard in shards),
        first_clips=tuple(accumulate((s.clips for s in shards[:-1]), initial=0)),
        offsets=tuple(int(n) for each in offsets for n in each[:-1]),
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


def _offsets(folder: Path, shard: Shard) -> np.ndarray:
    """Where each clip of a shard begins, and where the last one ends: int64 [n + 1]."""
    path = folder / f"{shard.name}.offsets.npy"
    try:
        offsets = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    ends = offsets.shape == (shard.clips + 1,) and offsets[[0, -1]].tolist()
    if ends != [0, shard.frames] or not (np.diff(offsets) > 0).all():
        raise BadData(f"{path}: not the offsets of {shard.clips} clips")
    return offsets


def _facts(folder: Path, shard: Shard) -> list[ClipFacts]:
    path = folder / f"{shard.name}.meta.jsonl"
    try:
        text = path.read_text(encoding="utf-8")
        facts = [ClipFacts(**json.loads(line)) for line in text.splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    if len(facts) != shard.clips:
        raise BadData(f"{path}: {len(facts)} lines for {shard.clips} clips")
    return facts
