"""Videos in folders: one folder of pictures per video, or one folder of video files."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.evaluate.foreign.videos import (
    Pixels,
    Rows,
    Videos,
    common_frames,
    lossy_refused,
)
from svtcli.failure import BadData, Refused, in_words
from svtcli.video.decode import EndsEarly, open_video
from svtcli.video.image import INEXACT, PICTURES, frame_shape, read_frame

ONE_FOLDER_EACH = "expected: one folder per video, with one picture per frame"

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameFolders(Videos):
    """Videos whose frames are pictures, each read on demand."""

    files: tuple[tuple[Path, ...], ...]
    """Frames of each video, in order."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        video = np.empty((len(rows), frames, *self.shape), np.uint8)
        for number, row in enumerate(rows):
            for place, path in enumerate(self.files[row][:frames]):
                picture = read_frame(path)
                if picture.shape != self.shape:
                    raise BadData(f"{path}: has changed since the folder was opened")
                video[number, place] = picture
        return video


def open_frame_folders(
    folder: Path, name: str, frames: int | None, allow_lossy: bool
) -> FrameFolders:
    """Open the videos in the folders of a folder, in natural order of their names.

    Errors: Refused for a folder without pictures, for pictures that are lossy, too few
    or not all of one size and number of channels; BadData for damaged ones.
    """
    listed = {inside: _pictures_in(inside) for inside in folders_in(folder)}
    for inside, pictures in listed.items():
        if not pictures:
            raise Refused(f"{inside}: no pictures in this folder", ONE_FOLDER_EACH)
    paths = [path for files in listed.values() for path in files]
    lossy = [path for path in paths if path.suffix.lower() in INEXACT]
    if lossy and not allow_lossy:
        raise lossy_refused(lossy[0])
    lengths = {str(inside): len(files) for inside, files in listed.items()}
    kept = common_frames(lengths, frames)
    files = tuple(files[:kept] for files in listed.values())
    return FrameFolders(
        name=name,
        count=len(files),
        frames=kept,
        shape=_picture_shape(path for video in files for path in video),
        lossy=bool(lossy),
        files=files,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoFiles(Videos):
    """Videos in files of their own, decoded on demand at their own size."""

    files: tuple[Path, ...]
    """File of each video."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        video = np.empty((len(rows), frames, *self.shape), np.uint8)
        for number, row in enumerate(rows):
            path = self.files[row]
            for place, picture in enumerate(_decoded(path, frames)):
                if picture.shape != self.shape:
                    raise BadData(f"{path}: its size changes at frame {place}")
                video[number, place] = picture
        return video


def open_video_files(
    files: tuple[Path, ...], name: str, frames: int | None, allow_lossy: bool
) -> VideoFiles:
    """Open the videos in these files; without `frames`, decode all to count frames.

    Errors: Refused for lossy files, or videos too short or not all of one size; BadData
    for damaged files.
    """
    # Before anything is decoded, which takes long.
    lossy = [path for path in files if not _exact(path)]
    if lossy and not allow_lossy:
        raise lossy_refused(lossy[0])
    lengths = {str(path): _length(path, frames) for path in files}
    kept = common_frames(lengths, frames)
    # Decoded, for a header does not say that a video is to be rotated.
    shapes = {path: next(_decoded(path, 1)).shape for path in files}
    H, W, _ = shapes[files[0]]
    for path, (height, width, _) in shapes.items():
        if (height, width) != (H, W):
            raise Refused(
                f"{path}: {width} x {height}, where {files[0]} is {W} x {H}",
                "all videos must have one size",
            )
    return VideoFiles(
        name=name,
        count=len(files),
        frames=kept,
        shape=(H, W, 3),
        lossy=bool(lossy),
        files=files,
    )


def _exact(path: Path) -> bool:
    with open_video(path) as video:
        return video.lossless


def _length(path: Path, wanted: int | None) -> int:
    """Number of frames of a video; a header that promises enough is believed."""
    with open_video(path) as video:
        promised = video.facts.frames
        if wanted is not None and promised >= wanted:
            return promised
        return video.count_frames()


def _decoded(path: Path, frames: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Decode the first frames of a video. Errors: BadData."""
    try:
        with open_video(path) as video:
            yield from video.decode(None, frames=frames)
    except EndsEarly as error:
        raise BadData(f"{path}: {in_words(error)}; expected {frames}") from error


def _picture_shape(paths: Iterable[Path]) -> Shape:
    """Height, width and channels of all pictures. Errors: Refused, BadData."""
    first, shape = None, (0, 0, 0)
    for path in paths:
        this = frame_shape(path)
        if first is None:
            first, shape = path, this
            read_frame(path)  # finds problems of pixels, which often are those of all
        elif this != shape:
            raise Refused(
                f"{path}: {_describe(this)}, where {first} is {_describe(shape)}",
                "all frames of all videos must have one size and the same channels",
            )
    return shape


def _describe(shape: Shape) -> str:
    height, width, channels = shape
    return f"{width} x {height} {'gray' if channels == 1 else 'RGB'}"


def folders_in(folder: Path) -> list[Path]:
    """List the folders inside, in natural order, without hidden ones."""
    folders = (path for path in shown(folder) if path.is_dir())
    return sorted(folders, key=lambda path: _natural(path.name))


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    """List the pictures inside. Errors: Refused for two pictures of one frame."""
    pictures = files_in(folder, PICTURES)
    for one, other in pairwise(pictures):
        if one.stem == other.stem:
            raise Refused(
                f"{folder}: two pictures of one frame, {one.name} and {other.name}",
                "keep one of them",
            )
    return pictures


def files_in(folder: Path, endings: Collection[str]) -> tuple[Path, ...]:
    """List the files of these endings, in natural order, without hidden ones."""
    files = (path for path in shown(folder) if path.suffix.lower() in endings)
    return tuple(sorted(files, key=lambda path: (_natural(path.stem), path.name)))


def shown(folder: Path) -> list[Path]:
    """List the entries of a folder that are not hidden. Errors: BadData."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise BadData(f"{folder}: could not be read ({in_words(error)})") from error


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts frame2 before frame10, and 01 before 1."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    key = [(int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts]
    return key, name
