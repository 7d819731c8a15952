"""Clips that are drawn when they are read: bouncing digits, however many.

The folder keeps the digits and the seed instead of frames; clip i has the pixels that
it would have in a shard, to the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
from jaxtyping import UInt8

from svtcli.clips.bouncing import Drawn, bouncing_clip, clip_rng
from svtcli.clips.manifest import Manifest
from svtcli.clips.reader import Clips, Numbers
from svtcli.clips.writer import ClipFacts
from svtcli.failure import BadData
from svtcli.run.durable import crc32c, replacing
from svtcli.run.fingerprint import fingerprint

ENDING = "digits.npy"


@dataclass(frozen=True, eq=False)
class DrawnClips(Clips):
    """Clips of one split, drawn from the digits in a prepared folder."""

    digits: Path
    """The file with the digits."""
    drawn: Drawn

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

    def numbers(
        self, name: str, index: int, start: int = 0, frames: int | None = None
    ) -> Numbers | None:
        return None


@dataclass(frozen=True)
class NumberedFacts(Sequence[ClipFacts]):
    """The facts of generated clips: of each there is only its number to tell."""

    split: str
    clips: int

    def __len__(self) -> int:
        return self.clips

    @overload
    def __getitem__(self, index: int) -> ClipFacts: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ClipFacts]: ...
    def __getitem__(self, index: int | slice) -> ClipFacts | Sequence[ClipFacts]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return clip_facts(self.split, index)


def clip_facts(split: str, index: int) -> ClipFacts:
    """The facts of a generated clip, stored or not."""
    return ClipFacts(id=f"{split}/{index:06d}", source="generated")


def open_drawn(
    folder: Path, manifest: Manifest, split: str, drawn: Drawn
) -> DrawnClips:
    """The clips of a split that is drawn; it takes no memory per clip.

    Errors: `BadData` where the digits are missing or not those of the manifest.
    """
    path, clips = folder / drawn.digits, manifest.splits[split].clips
    _check(path, drawn.crc32c)
    return DrawnClips(
        name=folder.resolve().name,
        split=split,
        shape=manifest.shape,
        fingerprint=fingerprint(manifest.fingerprint, split),
        lengths=np.broadcast_to(np.int64(drawn.frames), (clips,)),
        facts=NumberedFacts(split, clips),
        beside={},
        digits=path,
        drawn=drawn,
    )


@lru_cache(maxsize=2)
def read_digits(path: Path, checksum: str) -> UInt8[np.ndarray, "n side side"]:
    """The digits of a split, read once in each process. Errors: `BadData`."""
    _check(path, checksum)
    try:
        digits: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    digits.flags.writeable = False
    return digits


def _check(path: Path, checksum: str) -> None:
    """See that the digits are those that were kept; milliseconds for all of MNIST."""
    try:
        now = crc32c(path)
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror})") from error
    if now != checksum:
        raise BadData(
            f"{path}: has changed ({now}, was {checksum})",
            "prepare the clips again with --force",
        )


def write_digits(
    folder: Path,
    split: str,
    digits: UInt8[np.ndarray, "n side side"],
    count: int,
    seed: int,
    frames: int,
) -> Drawn:
    """Keep the digits of a split in `folder`, whole or not at all.

    Clips will have `count` of them and `frames` frames.
    """
    path = folder / f"{split}.{ENDING}"
    with replacing(path) as aside, aside.open("wb") as file:
        np.save(file, digits, allow_pickle=False)
    return Drawn(path.name, crc32c(path), count, seed, frames)
