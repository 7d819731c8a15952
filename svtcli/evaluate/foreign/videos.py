"""Videos of any origin, read lazily: the interface, samples and prepared clips.

Axes: `N` clips · `M` continuations of each · `F` frames.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int64, UInt8

from svtcli.clips.format import read_manifest
from svtcli.clips.reader import Clips, open_clips
from svtcli.failure import Refused
from svtcli.run.samples import SampleFacts

BATCH = 32
"""Videos read at a time."""
Rows = Int[np.ndarray, " n"]
Pixels = UInt8[np.ndarray, "n F H W C"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Videos(ABC):
    """N videos of F frames, perhaps M continuations of each, numbered from 0.

    Holds no open file and no pixels that a file can give again: share it freely.
    """

    name: str
    """Name that the user gave."""
    count: int
    """N, at least 1."""
    continuations: int = 1
    """M of each video; 1 where there is no such axis."""
    frames: int
    """F of each video, at most as many as were asked for."""
    shape: tuple[int, int, int]
    """Height, width, channels (1 or 3)."""
    prime: int | None = None
    """Prime frames, where the source says so."""
    fps: float | None = None
    """Frames a second, where the source says so."""
    lossy: bool = False
    """A file format that may have changed the pixels."""
    converted: str = ""
    """Order of axes and range of numbers that it was read by, where they are stated."""
    facts: SampleFacts | None = None
    """Sampling settings, where the source says so."""

    def read(
        self, rows: Rows, continuation: int = 0, frames: int | None = None
    ) -> Pixels:
        """Read the first `frames` frames of these rows; None reads all F.

        Errors: IndexError for rows, frames or continuations that do not exist, BadData
        for files that could not be read.
        """
        wanted = self.frames if frames is None else frames
        if not 0 <= continuation < self.continuations:
            raise IndexError(f"continuation {continuation} of {self.continuations}")
        if not 0 <= wanted <= self.frames:
            raise IndexError(f"{wanted} frames of {self.frames}")
        if rows.size and not 0 <= rows.min() <= rows.max() < self.count:
            raise IndexError(f"videos {rows.min()}..{rows.max()} of {self.count}")
        return self._read(rows, continuation, wanted)

    @abstractmethod
    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        """Read rows and frames that exist."""


class PlannedVideos(Videos):
    """Videos that do not exist yet."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        raise AssertionError("these videos are only planned")


@dataclass(frozen=True)
class Selection:
    """Some rows of a set of videos."""

    videos: Videos
    rows: Rows

    @classmethod
    def spread_evenly(cls, videos: Videos, most: int | None) -> "Selection":
        """Select at most `most` videos, from the first to near the last."""
        wanted = min(most or videos.count, videos.count)
        return cls(videos, np.arange(wanted) * videos.count // wanted)

    def read(self, rows: slice, continuation: int, frames: int) -> Pixels:
        """Read the first frames of some of the selected rows, as `Videos.read`."""
        return self.videos.read(self.rows[rows], continuation, frames)

    def sha256(self, continuations: int = 1) -> str:
        """Hash of all their pixels, the same for each file format.

        Of the axes [n, M, F, H, W, C] in decimals, then of [F, H, W, C] video by video,
        `BATCH` videos of each continuation in turn.
        """
        axes = (len(self.rows), continuations, self.videos.frames, *self.videos.shape)
        digest = sha256(repr(axes).encode())
        for first in range(0, len(self.rows), BATCH):
            for continuation in range(continuations):
                rows = slice(first, first + BATCH)
                pixels = self.read(rows, continuation, self.videos.frames)
                digest.update(np.ascontiguousarray(pixels).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedVideos(Videos):
    """The first frames of prepared clips."""

    clips: Clips
    numbers: Int64[np.ndarray, " N"]
    """Numbers of the clips that are long enough."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        video = np.empty((len(rows), frames, *self.shape), np.uint8)
        for number, row in enumerate(rows):
            video[number] = self.clips.read(int(self.numbers[row]), 0, frames)
        return video


def open_prepared(
    folder: Path, split: str | None, name: str, frames: int | None
) -> PreparedVideos:
    """Open the clips of a split: by default `test`, or else the only one.

    Clips of fewer than `frames` frames are passed over; None keeps all, each as long as
    the shortest. Errors: Refused, BadData.
    """
    splits = read_manifest(folder).splits
    if split is None and "test" not in splits and len(splits) != 1:
        raise Refused(
            f"{folder}: which split? It has {', '.join(splits)}",
            f"name one: {folder}:{next(iter(splits))}",
        )
    split = split or ("test" if "test" in splits else next(iter(splits)))
    if split in splits and not splits[split].clips:
        raise Refused(f"{folder}: no clips in its split {split}")
    return videos_of(open_clips(folder, split), name, frames)


def videos_of(clips: Clips, name: str, frames: int | None) -> PreparedVideos:
    """Return open clips as videos, otherwise as `open_prepared`. Errors: Refused."""
    kept = int(clips.lengths.min()) if frames is None else frames
    numbers = np.flatnonzero(clips.lengths >= kept)
    if not len(numbers):
        raise Refused(
            f"{clips.name}: no clip of its split {clips.split} has {kept} frames; "
            f"the longest has {clips.lengths.max()}"
        )
    rates = {clips.facts[int(each)].fps for each in numbers[:BATCH]}
    return PreparedVideos(
        name=name,
        fps=rates.pop() if len(rates) == 1 else None,
        count=len(numbers),
        frames=kept,
        shape=clips.shape,
        clips=clips,
        numbers=numbers.astype(np.int64),
    )


def common_frames(lengths: Mapping[str, int], wanted: int | None) -> int:
    """Number of frames to keep of each video: `wanted`, else the shortest's.

    Errors: Refused, naming the first video that has fewer than `wanted`.
    """
    for where, has in lengths.items():
        if wanted is not None and has < wanted:
            raise Refused(f"{where}: {has} frames; {wanted} of each video are compared")
    return min(lengths.values()) if wanted is None else wanted


def check_reference(videos: Videos) -> None:
    """Refuse several videos of each clip: samples are compared with one."""
    if videos.continuations > 1:
        raise Refused(
            f"{videos.name}: {videos.continuations} videos of each clip; a reference "
            "has one",
            "save the one to compare with: x[:, 0]",
        )


def lossy_refused(path: Path) -> Refused:
    """Refusal of a file that may have changed its pixels."""
    return Refused(
        f"{path}: lossy; FVD of re-encoded video has been wrong by a factor of ten",
        "score lossless frames (PNG) or arrays (.npy), or use --allow-lossy",
    )
