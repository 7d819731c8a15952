"""Clips of one video file: all of it, cut end to end, or one window."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import UInt8

from svtcli.clips.format import ClipFacts
from svtcli.prepare.plan import Cut, Failed, Outcome, Promise
from svtcli.prepare.sources.source_folder import Video
from svtcli.recipe.data import ArraysData, FolderData, KineticsData, Window
from svtcli.video.decode import (
    EndsEarly,
    OpenVideo,
    Undecodable,
    VideoFacts,
    WrongStamps,
)
from svtcli.video.numbered_frames import OpenFrames
from svtcli.video.resize import FILTER

Frames = int | Literal["all"]


@dataclass(frozen=True)
class Cutting:
    """Settings that cut clips from videos; keys of a recipe's `data` section."""

    size: int
    fps: float | None = None
    frames: Frames = "all"
    window: Window = "all"
    min_frames: int = 1
    """Shortest clip, with `frames: all`."""
    seed: int = 0
    cuts: float | None = None
    """Least change of the picture that ends a clip; None for none."""

    @classmethod
    def of(cls, data: FolderData | ArraysData | KineticsData) -> "Cutting":
        """Take the settings from a recipe's `data` section."""
        names = [each.name for each in fields(cls) if hasattr(data, each.name)]
        return cls(**{name: getattr(data, name) for name in names})

    @property
    def pixels(self) -> str:
        """Description of the frames, for the manifest."""
        rate = f"{self.fps:g} frames/s by time stamp" if self.fps else "every frame"
        return (
            f"{rate}, as players show it (turned upright, square pixels), transparent "
            f"parts on black, centre crop, swscale {FILTER} to gbrp"
        )

    @property
    def windowed(self) -> bool:
        """True where one window of a video is kept."""
        return self.frames != "all" and self.window != "all"

    @property
    def least(self) -> int:
        """Shortest clip, in frames."""
        return self.min_frames if self.frames == "all" else self.frames

    def clips(self, first: int, last: int) -> tuple[list[tuple[int, int]], int]:
        """Return clips (first frame, length), end to end, and the count of frames left.

        A range shorter than one clip gives none, and its frames are not "left".
        """
        length, size = last - first, self.frames
        if size == "all":
            return ([(first, length)] if length >= max(1, self.least) else []), 0
        clips = [(at, size) for at in range(first, last - size + 1, size)]
        return clips, length % size if clips else 0

    def window_start(self, name: str, frames: int) -> int:
        """First frame of the window of a video with this number of frames."""
        assert self.frames != "all"
        room = max(0, frames - self.frames)
        if self.window == "random":
            # 256 bits modulo a few thousand: uniform enough.
            return int.from_bytes(chance(name, self.seed)) % (room + 1)
        return room // 2 if self.window == "center" else 0


@dataclass(frozen=True)
class TimeSplit:
    """Cuts every video in time: its end is `test`, the part before it `val`."""

    val: float
    test: float

    def ranges(self, frames: int) -> dict[str, tuple[int, int]]:
        """First and last + 1 frame of each split."""
        test = frames - round(self.test * frames)
        val = max(0, test - round(self.val * frames))
        ranges = {"train": (0, val)}
        if self.val:
            ranges["val"] = (val, test)
        if self.test:
            ranges["test"] = (test, frames)
        return ranges


def find_cuts(frames: UInt8[np.ndarray, "F P"], least: float) -> list[int]:
    """Find the frames that begin another shot, by the score of FFmpeg's `scene`.

    It is the mean change of a number from the frame before, or how much this differs
    from the change before that, if that is less: a fast motion is no cut.
    """
    pairs = pairwise(frames)
    changes = [np.abs(np.subtract(b, a, dtype=np.int16)).mean() for a, b in pairs]
    change = np.array([0.0, *changes]) / 255
    score = np.minimum(change[1:], np.abs(np.diff(change)))
    return [int(frame) + 1 for frame in np.flatnonzero(score > least)]


def ranges_of(split: str | TimeSplit, frames: int) -> dict[str, tuple[int, int]]:
    """First and last + 1 frame of each split of a video."""
    return (
        split.ranges(frames) if isinstance(split, TimeSplit) else {split: (0, frames)}
    )


def chance(name: str, seed: int) -> bytes:
    """32 pseudo-random bytes of a name and a seed, the same on every machine."""
    return sha256(f"{seed}\0{name}".encode()).digest()


@dataclass(frozen=True)
class VideoTask:
    """Decodes one video and writes its clips."""

    video: Video
    cutting: Cutting
    split: str | TimeSplit
    label: str | None = None
    id: str | None = None
    """Id of a whole video's clip, and prefix of all other ids; None: the name."""
    stamped: bool = True
    """With a frame rate: times of frames are their stamps, or follow from the header's
    rate."""
    units: int = 1

    @property
    def source(self) -> str:
        return self.video.name

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.video.path,)

    def promise(self) -> Promise:
        """Estimate clips and frames by the header; one clip where it has no length."""
        cutting = self.cutting
        try:
            with self.video.open() as video:
                facts = video.facts
        except Undecodable:
            return Promise(0, 0)
        if not facts.frames:
            return Promise(1, cutting.least)
        count = facts.frames_at(cutting.fps)
        if cutting.windowed:
            fits = count >= cutting.least
            return Promise(1, cutting.least) if fits else Promise(0, 0)
        ranges = ranges_of(self.split, count).values()
        lengths = [n for each in ranges for _, n in cutting.clips(*each)[0]]
        return Promise(len(lengths), sum(lengths))

    def run(self, frames: Path) -> Outcome:
        """Write the frames of all clips; a damaged or short video is a `Failed`."""
        try:
            try:
                return self._written(frames)
            except WrongStamps:
                return replace(self, stamped=False)._written(frames)
        except Undecodable as error:
            return Outcome(failures=(Failed(self.source, error.reason, error.detail),))
        except EndsEarly as end:
            return Outcome(failures=(self._too_short(end.frames),))

    def _written(self, frames: Path) -> Outcome:
        """Write the frames. Errors: `Undecodable`, `EndsEarly`."""
        with self.video.open() as video, frames.open("wb") as file:
            if not self.cutting.windowed:
                count = _write(file, self._decode(video))
                file.flush()
                return self._cut(count, video.facts, self._find_cuts(frames, count))
            start, facts = self._write_window(file, video)
        assert isinstance(self.split, str)
        cut = self._clip(self.split, 0, self.cutting.least, facts, start=start)
        return Outcome(cut.frames, (cut,))

    def _decode(
        self, video: OpenVideo | OpenFrames, first: int = 0, frames: int | None = None
    ) -> Iterator[bytes]:
        size, fps = self.cutting.size, self.cutting.fps
        for frame in video.decode(size, fps, first, frames, self.stamped):
            yield frame.tobytes()

    def _write_window(
        self, file: BinaryIO, video: OpenVideo | OpenFrames
    ) -> tuple[int, VideoFacts]:
        """Write the frames of the window; return its first frame, and the facts.

        It is chosen by the length in the header, so that a video is decoded once, and
        only to the window's end. Errors: `EndsEarly` for a video that is too short.
        """
        wanted, fps = self.cutting.least, self.cutting.fps
        count = video.facts.frames_at(fps)
        if not count:
            with self.video.open() as again:
                count = again.count_frames(fps, self.stamped)
        start = self.cutting.window_start(self.source, count)
        try:
            _write(file, self._decode(video, start, wanted))
        except EndsEarly as end:
            if end.frames < wanted:
                raise
            # The header was wrong: choose the window again by the length found.
            file.seek(0)
            start = self.cutting.window_start(self.source, end.frames)
            with self.video.open() as again:
                _write(file, self._decode(again, start, wanted))
            return start, again.facts
        return start, video.facts

    def _find_cuts(self, frames: Path, count: int) -> list[int]:
        """Frames at which a clip has to end, beside the ends of splits."""
        if self.cutting.cuts is None or not count:
            return []
        written = np.memmap(frames, np.uint8, "r").reshape(count, -1)
        return find_cuts(written, self.cutting.cuts)

    def _cut(self, count: int, facts: VideoFacts, ends: list[int]) -> Outcome:
        cuts, failures, left = list[Cut](), list[Failed](), 0
        for split, (first, last) in ranges_of(self.split, count).items():
            inside = [end for end in ends if first < end < last]
            shots = list(pairwise([first, *inside, last]))
            found = [self.cutting.clips(*shot) for shot in shots]
            for at, length in (clip for clips, _ in found for clip in clips):
                start = None if length == count else at
                cuts.append(self._clip(split, at, length, facts, start))
            if not any(clips for clips, _ in found):
                longest = max(end - begin for begin, end in shots)
                failures.append(self._too_short(longest, split))
            left += sum(rest for _, rest in found)
        return Outcome(count, tuple(cuts), tuple(failures), left)

    def _clip(
        self, split: str, at: int, length: int, video: VideoFacts, start: int | None
    ) -> Cut:
        """Describe the clip at written frame `at`; a whole video has no `start`."""
        name = self.id or self.source
        facts = ClipFacts(
            id=name if start is None else f"{name}@{start}",
            source=self.source,
            start=start or 0,
            label=self.label,
            width=video.width,
            height=video.height,
            fps=self.cutting.fps or video.fps,
            codec=video.codec,
        )
        return Cut(split, at, length, facts)

    def _too_short(self, frames: int, split: str | None = None) -> Failed:
        detail = f"{frames} frames, a clip has {self.cutting.least}"
        whole = self.split if isinstance(self.split, str) else None
        return Failed(self.source, "too-short", detail, split or whole)


def _write(file: BinaryIO, frames: Iterator[bytes]) -> int:
    """Write frames as they come; return their number."""
    count = 0
    for frame in frames:
        file.write(frame)
        count += 1
    return count
