"""BAIR as the PNG files that SVG's converter makes: `<split>/traj_a_to_b/<k>/<t>.png`.

Many people only have these. They hold the camera aux1, and no actions.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from svtcli.clips.format import ClipFacts
from svtcli.prepare.plan import Miss, Outcome, Promise
from svtcli.prepare.sources.records import Video, write_videos
from svtcli.video.image import Unreadable, pixels

FRAMES, SIDE = 30, 64
FPS = 10.0
TRAJECTORIES = re.compile(r"traj_(\d{1,9})_to_(\d{1,9})")
LARGEST = 1 << 20
"""Bytes of a PNG that are read; 64 by 64 pixels need 13 thousand at most."""


@dataclass(frozen=True)
class PngFolder:
    """A folder `traj_a_to_b`: one folder for each of its videos, numbered from 1."""

    path: Path
    name: str

    @cached_property
    def videos(self) -> tuple[int, ...]:
        """The numbers of its videos; links are not followed."""
        with os.scandir(self.path) as entries:
            return tuple(
                sorted(
                    int(entry.name)
                    for entry in entries
                    if re.fullmatch(r"[1-9]\d{0,8}", entry.name)
                    and entry.is_dir(follow_symlinks=False)
                )
            )

    @property
    def size(self) -> str:
        """What stands for its contents in the inventory: a million files are not."""
        return ",".join(map(str, self.videos))

    def count(self, named: int) -> int:
        """How many videos are there; the name does not matter."""
        return len(self.videos)


@dataclass(frozen=True)
class PngTask:
    """Decodes the first `units` videos of a folder."""

    folder: PngFolder
    split: str
    units: int

    @property
    def source(self) -> str:
        return self.folder.name

    def promise(self) -> Promise:
        return Promise(self.units, self.units * FRAMES)

    def run(self, frames: Path) -> Outcome:
        return write_videos(frames, self.split, (), self._videos())

    def _videos(self) -> Iterator[Video | Miss]:
        for number in self.folder.videos[: self.units]:
            # The record that the converter made it of; it counts from 1.
            record = number - 1
            place = f"{number}/0.png"
            try:
                pictures = []
                for frame in range(FRAMES):
                    place = f"{number}/{frame}.png"
                    pictures.append(_picture(self.folder.path / place))
                facts = ClipFacts(
                    id=f"{self.source}/{record}",
                    source=f"{self.source}/{number}",
                    width=SIDE,
                    height=SIDE,
                    fps=FPS,
                    codec="png",
                )
                yield Video(facts, np.stack(pictures))
            except Unreadable as damage:
                detail = f"{place}: {damage.detail}"
                yield Miss(self.source, damage.reason, detail, record=record)
            except OSError as error:
                detail = f"{place}: cannot be read ({error.strerror})"
                yield Miss(self.source, "open", detail, record=record)


def _picture(path: Path) -> np.ndarray:
    """uint8 [64, 64, 3]. Errors: `Unreadable`, `OSError`, also for a link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        picture = pixels(file.read(LARGEST))
    if picture.shape != (SIDE, SIDE, 3):
        height, width, _ = picture.shape
        raise Unreadable("decode", f"{width} x {height} pixels, not {SIDE} x {SIDE}")
    return picture


def png_folders(folder: Path) -> Iterator[tuple[str, int, int, PngFolder]]:
    """Split, first and last number of each folder that holds videos."""
    for place, folders, _ in os.walk(folder):
        split = Path(place).name
        if split not in ("train", "test"):
            folders[:] = [name for name in folders if not name.startswith(".")]
            continue
        for name in folders:
            named = TRAJECTORIES.fullmatch(name)
            png = PngFolder(Path(place, name), f"{split}/{name}")
            if named and not png.path.is_symlink() and png.videos:
                yield split, int(named[1]), int(named[2]), png
        # A million pictures lie below.
        folders[:] = [name for name in folders if not TRAJECTORIES.fullmatch(name)]
