"""Folders of numbered pictures, one for each frame of a video."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.video.decode import EndsEarly, Undecodable, VideoFacts
from svtcli.video.image import PICTURES, Unreadable, read_shown, shown_dimensions
from svtcli.video.resize import Resizer
from svtcli.video.timing import nearest_in_time

NUMBERED = re.compile(r"(.*?)([0-9]{1,18})([^0-9]*)")
"""Name without its ending: the last number, and what stands around it."""


def are_numbered(names: Iterable[str]) -> bool:
    """Tell if names of files differ in their last number alone; at least two."""
    around, numbers = set[tuple[str, ...]](), 0
    for name in names:
        stem, ending = os.path.splitext(name)  # noqa: PTH122 (fast)
        parts = NUMBERED.fullmatch(stem)
        if parts is None or not is_picture(name):
            return False
        numbers += 1
        around.add((parts[1], parts[3], ending.lower()))
        if len(around) > 1:
            return False
    return numbers > 1


@dataclass(frozen=True)
class OpenFrames:
    """Frames of a folder, in the order of their numbers; compare `OpenVideo`."""

    path: Path
    rate: float | None
    """Frames per second, which pictures do not state; None if nobody does."""
    pictures: tuple[Path, ...]

    @cached_property
    def facts(self) -> VideoFacts:
        """Size of the first picture, and the number of pictures."""
        first = self.pictures[0]
        with self._damage(first):
            width, height = shown_dimensions(first)
        codec = PICTURES[first.suffix.lower()].lower()
        return VideoFacts(width, height, self.rate, codec, len(self.pictures))

    @contextmanager
    def _damage(self, picture: Path) -> Iterator[None]:
        try:
            yield
        except Unreadable as damage:
            detail = f"{picture.name}: {damage.detail}"
            raise Undecodable(self.path, damage.reason, detail) from damage

    def decode(
        self,
        size: int | None,
        fps: float | None = None,
        first: int = 0,
        frames: int | None = None,
        stamped: bool = True,
    ) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Frames, as `OpenVideo.decode`; `fps` needs a rate.

        Errors: `Undecodable` for a damaged picture, or one of another size;
        `EndsEarly`.
        """
        count, resizer = 0, Resizer(size)
        last = None if frames is None else first + frames
        previous, small = Path(), np.empty(0, np.uint8)
        for count, picture in enumerate(islice(self._at(fps), last), 1):
            if count > first:
                if picture != previous:
                    previous, small = picture, resizer.array(self._read(picture))
                yield small
        if last is not None and count < last:
            raise EndsEarly(count)

    def count_frames(self, fps: float | None = None, stamped: bool = True) -> int:
        """Number of frames that `decode` gives."""
        return sum(1 for _ in self._at(fps))

    def _at(self, fps: float | None) -> Iterator[Path]:
        if fps is None:
            return iter(self.pictures)
        assert self.rate is not None
        rate = self.rate
        return nearest_in_time(
            ((i / rate, p) for i, p in enumerate(self.pictures)), fps
        )

    def _read(self, picture: Path) -> UInt8[np.ndarray, "H W 3"]:
        """Read a picture. Errors: `Undecodable`."""
        facts = self.facts
        with self._damage(picture):
            pixels = read_shown(picture)
        height, width, _ = pixels.shape
        if (width, height) != (facts.width, facts.height):
            size = f"{facts.width} x {facts.height}"
            detail = f"{picture.name}: {width} x {height} pixels, the first has {size}"
            raise Undecodable(self.path, "decode", detail)
        return pixels


@contextmanager
def open_frames(folder: Path, rate: float | None) -> Iterator[OpenFrames]:
    """List the pictures of a folder. Errors: `Undecodable`, also for gaps."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise Undecodable(folder, "open", what) from error
    names = [name for name in names if is_picture(name) and name[0] != "."]
    if not are_numbered(names):
        raise Undecodable(folder, "open", "its pictures are not numbered frames")
    frames = sorted((_number(name), name) for name in names)
    step = max(1, min(later - one for (one, _), (later, _) in pairwise(frames)))
    for (one, name), (later, other) in pairwise(frames):
        if later == one:
            detail = f"{name} and {other} have the same number"
            raise Undecodable(folder, "decode", detail)
        if later - one != step:
            detail = f"from {name} to {other}, where others are {step} apart"
            raise Undecodable(folder, "decode", f"frames are missing: {detail}")
    yield OpenFrames(folder, rate, tuple(folder / name for _, name in frames))


def is_picture(name: str) -> bool:
    """Tell a picture that may be a frame by its ending."""
    return os.path.splitext(name)[1].lower() in PICTURES  # noqa: PTH122 (fast)


def _number(name: str) -> int:
    parts = NUMBERED.fullmatch(os.path.splitext(name)[0])  # noqa: PTH122
    assert parts is not None
    return int(parts[2])
