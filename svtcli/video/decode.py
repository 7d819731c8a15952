"""Video files → small square RGB frames, one after the other, in one thread.

Damage is an error here, never a shorter video: a file either gives all its frames or
raises `Undecodable` with the reason that `svt prepare` counts.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from jaxtyping import UInt8

from svtcli.failure import BadData
from svtcli.video.resize import Resizer

T = TypeVar("T")
COVER = Disposition.attached_pic
Reason = Literal["open", "no-video", "decode"]


class Undecodable(BadData):
    """A file that is not a whole video; `reason` is `open`, `no-video` or `decode`."""

    def __init__(self, path: Path, reason: Reason, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class VideoFacts:
    """What a file's header says; `frames` is an estimate, 0 where it says nothing."""

    width: int
    height: int
    fps: float | None
    codec: str
    frames: int


def probe(path: Path) -> VideoFacts:
    """Read the header only. Errors: `Undecodable` (`open`, `no-video`)."""
    with _opened(path) as (container, stream):
        fps = float(stream.average_rate) if stream.average_rate else None
        seconds = (container.duration or 0) / av.time_base
        return VideoFacts(
            stream.codec_context.width,
            stream.codec_context.height,
            fps,
            stream.codec_context.name,
            stream.frames or round(seconds * (fps or 0)),
        )


def decode(
    path: Path, size: int, fps: float | None = None
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Every frame of a video, centre-cropped and resized to `size` × `size`.

    `fps` picks the frames nearest in time to 0, 1/fps, 2/fps … seconds after the first
    frame, which repeats frames where the video is slower. Errors: `Undecodable`.
    """
    resizer = Resizer(size)

    def resize(frame: av.VideoFrame) -> np.ndarray:
        try:
            return resizer(frame)
        except (av.FFmpegError, OSError) as error:
            detail = f"cannot convert {frame.format.name} ({_why(error)})"
            raise Undecodable(path, "decode", detail) from error

    frames = _frames(path)
    if fps is None:
        yield from map(resize, frames)
        return
    previous: tuple[av.VideoFrame, np.ndarray] | None = None
    for frame in nearest_in_time(_timed(path, frames), fps):
        if previous is None or previous[0] is not frame:
            previous = (frame, resize(frame))
        yield previous[1]


def nearest_in_time(timed: Iterable[tuple[float, T]], fps: float) -> Iterator[T]:
    """Of things with rising times in seconds, those nearest to a regular beat.

    The beat starts at the first time and ends at the last one; the earlier of two
    equally near things is taken.
    """
    start, beat = 0.0, 0
    before: tuple[float, T] | None = None
    for time, thing in timed:
        if before is None:
            start = time
        else:
            while start + beat / fps <= (before[0] + time) / 2:
                yield before[1]
                beat += 1
        before = (time, thing)
    # Times are multiples of a coarse base: allow a beat that is only rounded past.
    while before is not None and start + beat / fps <= before[0] + 1e-3 / fps:
        yield before[1]
        beat += 1


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream, closed at the end."""
    try:
        # A `file:` name keeps a path that looks like an option or a URL a path.
        container = av.open(f"file:{path.absolute()}")
    except (av.FFmpegError, OSError) as error:
        raise Undecodable(path, "open", f"not a video ({_why(error)})") from error
    with container:
        # A torn header leaves a stream without decoder; a song's cover is no video.
        streams = [
            stream
            for stream in container.streams.video
            if stream.codec_context and not stream.disposition & COVER
        ]
        if not streams:
            raise Undecodable(path, "no-video", "holds no video that can be decoded")
        yield container, streams[0]


def _frames(path: Path) -> Iterator[av.VideoFrame]:
    """Decoded frames in the order of display; strict about damage."""
    with _opened(path) as (container, stream):
        # One process per file is faster than threads that steal from other files.
        stream.thread_type = "NONE"
        stream.codec_context.options = {"err_detect": "explode"}
        done = 0
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    raise Undecodable(path, "decode", f"broken after frame {done}")
                for frame in packet.decode():
                    if frame.is_corrupt:
                        raise Undecodable(path, "decode", f"broken at frame {done}")
                    yield frame
                    done += 1
        except (av.FFmpegError, OSError) as error:
            detail = f"broken after {done} frames ({_why(error)})"
            raise Undecodable(path, "decode", detail) from error
        if not done:
            raise Undecodable(path, "decode", "its video stream holds no frame")


def _timed(
    path: Path, frames: Iterable[av.VideoFrame]
) -> Iterator[tuple[float, av.VideoFrame]]:
    for number, frame in enumerate(frames):
        if frame.pts is None:
            detail = f"frame {number} has no time stamp, so fps cannot be kept"
            raise Undecodable(path, "decode", detail)
        yield frame.time, frame


def _why(error: Exception) -> str:
    """The reason without the path, which stands in front of it already."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
