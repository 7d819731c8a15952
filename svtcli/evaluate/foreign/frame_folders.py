"""A folder of frame folders: each folder inside is a video, each picture a frame."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from svtcli.evaluate.foreign.source import (
    Pixels,
    Rows,
    Videos,
    common_frames,
    refused_lossy,
)
from svtcli.failure import BadData, Refused
from svtcli.video.image import EXACT, INEXACT, frame, frame_shape

DIGITS = "0123456789"
PICTURES = EXACT | INEXACT
ONE_FOLDER_EACH = "wanted is one folder per video, with one picture per frame"


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameFolders(Videos):
    """Videos whose frames are pictures, each read when it is asked for."""

    files: tuple[tuple[Path, ...], ...]
    """The frames of each video, in order."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        video = np.empty((len(rows), frames, *self.shape), np.uint8)
        for number, row in enumerate(rows):
            for place, path in enumerate(self.files[row][:frames]):
                picture = frame(path)
                if picture.shape != self.shape:
                    raise BadData(f"{path}: has changed since the folder was opened")
                video[number, place] = picture
        return video


def open_frame_folders(
    folder: Path, name: str, frames: int | None, allow_lossy: bool
) -> FrameFolders:
    """The videos in the folders of a folder, in natural order of their names.

    Errors: `Refused` for a folder without frames, for pictures that are lossy, too few
    or not all of one size and of one number of channels; `BadData` for damaged ones.
    """
    listed = {inside: pictures_in(inside) for inside in folders_in(folder)}
    for inside, pictures in listed.items():
        if not pictures:
            raise Refused(f"{inside}: no pictures in this folder", ONE_FOLDER_EACH)
    lossy = [
        path
        for files in listed.values()
        for path in files
        if path.suffix.lower() in INEXACT
    ]
    if lossy and not allow_lossy:
        raise refused_lossy(lossy[0])
    lengths = {str(inside): len(files) for inside, files in listed.items()}
    kept = common_frames(lengths, frames)
    files = tuple(files[:kept] for files in listed.values())
    return FrameFolders(
        name=name,
        count=len(files),
        frames=kept,
        shape=_common_shape(path for video in files for path in video),
        lossy=bool(lossy),
        files=files,
    )


def _common_shape(paths: Iterable[Path]) -> tuple[int, int, int]:
    """Height, width and channels of all pictures. Errors: `Refused`, `BadData`."""
    first, shape = None, (0, 0, 0)
    for path in paths:
        this = frame_shape(path)
        if first is None:
            first, shape = path, this
            frame(path)  # What a header does not tell is often true of all of them.
        elif this != shape:
            raise Refused(
                f"{path}: {_in_words(this)}, where {first} is {_in_words(shape)}",
                "all frames of all videos must have one size and the same channels",
            )
    return shape


def _in_words(shape: tuple[int, int, int]) -> str:
    height, width, channels = shape
    return f"{width} x {height} {'gray' if channels == 1 else 'RGB'}"


def folders_in(folder: Path) -> list[Path]:
    """The folders inside, in natural order; hidden ones are left out."""
    folders = (path for path in shown(folder) if path.is_dir())
    return sorted(folders, key=lambda path: natural(path.name))


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The pictures inside, in natural order; files of other endings are left out.

    Errors: `Refused` for two pictures of one frame.
    """
    pictures = files_in(folder, PICTURES)
    for one, other in pairwise(pictures):
        if one.stem == other.stem:
            raise Refused(
                f"{folder}: two pictures of one frame, {one.name} and {other.name}",
                "keep one of them",
            )
    return pictures


def files_in(folder: Path, endings: Collection[str]) -> tuple[Path, ...]:
    """The files of these endings, in natural order; hidden ones are left out."""
    files = (path for path in shown(folder) if path.suffix.lower() in endings)
    return tuple(sorted(files, key=lambda path: (natural(path.stem), path.name)))


def shown(folder: Path) -> list[Path]:
    """What is in a folder and not hidden. Errors: `BadData`."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise BadData(f"{folder}: cannot be read ({error.strerror})") from error


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key that sorts frame2 before frame10; the name decides between 1 and 01."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    key = [(int(part), "") if part[0] in DIGITS else (-1, part) for part in parts]
    return key, name
