"""A folder of video files, decoded at their own size: lossy as a rule."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.evaluate.foreign.source import (
    Pixels,
    Rows,
    Videos,
    common_frames,
    refused_lossy,
)
from svtcli.failure import BadData, Refused
from svtcli.video.decode import EndsEarly, open_video


@dataclass(frozen=True, eq=False, kw_only=True)
class Containers(Videos):
    """Videos in files of their own, decoded when they are asked for."""

    files: tuple[Path, ...]
    """The file of each video."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        video = np.empty((len(rows), frames, *self.shape), np.uint8)
        for number, row in enumerate(rows):
            for place, picture in enumerate(_decoded(self.files[row], frames)):
                if picture.shape != self.shape:
                    path = self.files[row]
                    raise BadData(f"{path}: its size changes at frame {place}")
                video[number, place] = picture
        return video


def open_containers(
    files: tuple[Path, ...], name: str, frames: int | None, allow_lossy: bool
) -> Containers:
    """The videos in these files; without `frames`, all are decoded to count theirs.

    Errors: `Refused` for what is lossy, too short or not all of one size; `BadData` for
    damaged files.
    """
    # FVD is the reason, so nothing is decoded before this is known.
    lossy = [path for path in files if not _exact(path)]
    if lossy and not allow_lossy:
        raise refused_lossy(lossy[0])
    lengths = {str(path): _length(path, frames) for path in files}
    return Containers(
        name=name,
        count=len(files),
        frames=common_frames(lengths, frames),
        shape=_common_shape(files),
        lossy=bool(lossy),
        files=files,
    )


def _exact(path: Path) -> bool:
    with open_video(path) as video:
        return video.exact


def _length(path: Path, wanted: int | None) -> int:
    """How many frames a video has; a header that promises enough is believed."""
    with open_video(path) as video:
        promised = video.facts.frames
        if wanted is not None and promised >= wanted:
            return promised
        return video.count_frames()


def _common_shape(files: tuple[Path, ...]) -> tuple[int, int, int]:
    """Height, width and channels of the first frames. Errors: `Refused`."""
    # Decoded, for a header does not know that a video is to be turned.
    shapes = {path: next(_decoded(path, 1)).shape for path in files}
    first = shapes[files[0]]
    for path, (height, width, _) in shapes.items():
        if (height, width) != first[:2]:
            raise Refused(
                f"{path}: {width} x {height}, where {files[0]} is "
                f"{first[1]} x {first[0]}",
                "all videos must have one size",
            )
    return first[0], first[1], 3


def _decoded(path: Path, frames: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The first frames of a video as they are. Errors: `BadData`."""
    try:
        with open_video(path) as video:
            yield from video.decode(None, frames=frames)
    except EndsEarly as error:
        raise BadData(f"{path}: {error}; {frames} are wanted") from error
