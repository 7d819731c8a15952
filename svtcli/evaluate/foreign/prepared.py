"""Prepared clips as videos: one split, those that are long enough."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from svtcli.clips.manifest import read_manifest
from svtcli.clips.reader import Clips, open_clips
from svtcli.evaluate.foreign.source import Pixels, Rows, Videos
from svtcli.failure import Refused

DEFAULT_SPLIT = "test"


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedVideos(Videos):
    """The first frames of prepared clips."""

    clips: Clips
    chosen: Int64[np.ndarray, " n"]
    """Numbers of the clips that are long enough."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        video = np.empty((len(rows), frames, *self.shape), np.uint8)
        for number, row in enumerate(rows):
            video[number] = self.clips.read(int(self.chosen[row]), 0, frames)
        return video


def open_prepared(
    folder: Path, split: str | None, name: str, frames: int | None
) -> PreparedVideos:
    """The clips of a split: `test` by default, else the only one.

    Clips of fewer than `frames` frames are passed over; None keeps all, each as long as
    the shortest. Errors: `Refused`, `BadData`.
    """
    splits = read_manifest(folder).splits
    split = split or _default_split(folder, list(splits))
    if split in splits and not splits[split].clips:
        raise Refused(f"{folder}: no clips in its split {split}")
    return videos_of(open_clips(folder, split), name, frames)


def videos_of(clips: Clips, name: str, frames: int | None) -> PreparedVideos:
    """The clips that are open, otherwise as `open_prepared`. Errors: `Refused`."""
    folder, split = clips.name, clips.split
    kept = int(clips.lengths.min()) if frames is None else frames
    chosen = np.flatnonzero(clips.lengths >= kept)
    if not len(chosen):
        raise Refused(
            f"{folder}: no clip of its split {split} has {kept} frames; "
            f"the longest has {clips.lengths.max()}"
        )
    return PreparedVideos(
        name=name,
        count=len(chosen),
        frames=kept,
        shape=clips.shape,
        passed_over=len(clips) - len(chosen),
        clips=clips,
        chosen=chosen.astype(np.int64),
    )


def _default_split(folder: Path, splits: list[str]) -> str:
    if DEFAULT_SPLIT in splits:
        return DEFAULT_SPLIT
    if len(splits) != 1:
        raise Refused(
            f"{folder}: which split? It has {', '.join(splits)}",
            f"say it: {folder}:{splits[0]}",
        )
    return splits[0]
