"""Video files → small square RGB frames, one after the other, in one thread.

Damage is an error here, never a shorter video: a file either gives all the frames that
are asked for or raises `Undecodable` with the reason that `svt prepare` counts.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from jaxtyping import UInt8

from svtcli.failure import BadData
from svtcli.video.resize import Resizer
from svtcli.video.truncation import cut_short, has_its_end, promised_frames

T = TypeVar("T")
COVER = Disposition.attached_pic
Reason = Literal["open", "no-video", "decode"]
FORMATS = (
    "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,ivf,ogg,asf,"
    "yuv4mpegpipe,nut,mxf,rm,dv,wtv,gif,apng"
)
"""What FFmpeg may take a file for. Playlists (HLS, concat, DASH …) are not among them:
a file with such content would make FFmpeg read other files."""


ANY_TITLE: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
"""Titles in another encoding are no damage; PyAV says so itself since version 19."""


LOSSLESS = ("ffv1", "huffyuv", "ffvhuff", "utvideo", "png", "apng", "rawvideo")
RGB = ("gbrp", "rgb24", "bgr24", "bgr0", "rgb0", "0rgb", "0bgr")
"""Eight bits a channel, no alpha: with a codec of the above, nothing has changed."""


class Undecodable(BadData):
    """A file that is not a whole video; `reason` is `open`, `no-video` or `decode`."""

    def __init__(self, path: Path, reason: Reason, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.reason, self.detail = reason, detail


class EndsEarly(Exception):
    """A whole video ends before the frames that were asked for; it has `frames`."""

    def __init__(self, frames: int) -> None:
        super().__init__(f"ends after {frames} frames")
        self.frames = frames


@dataclass(frozen=True)
class VideoFacts:
    """What a file's header says; `frames` is an estimate, 0 where it says nothing."""

    width: int
    height: int
    fps: float | None
    codec: str
    frames: int

    def kept(self, fps: float | None) -> int:
        """How many frames `decode` will give at `fps`, 0 where nothing is known."""
        if fps is None or not self.frames or not self.fps:
            return self.frames
        return int((self.frames - 1) / self.fps * fps + 1e-3) + 1


@dataclass(frozen=True)
class OpenVideo:
    """A video file that is open; its frames can be read once."""

    path: Path
    container: InputContainer
    stream: VideoStream

    @property
    def facts(self) -> VideoFacts:
        """What the header says."""
        stream = self.stream
        return VideoFacts(
            stream.codec_context.width,
            stream.codec_context.height,
            float(stream.average_rate) if stream.average_rate else None,
            stream.codec_context.name,
            promised_frames(self.container, stream),
        )

    @property
    def exact(self) -> bool:
        """Whether its pixels are certainly those that were written."""
        codec = self.stream.codec_context
        return codec.name in LOSSLESS and codec.pix_fmt in RGB

    def decode(
        self,
        size: int | None,
        fps: float | None = None,
        first: int = 0,
        frames: int | None = None,
    ) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Frames, centre-cropped and resized to `size` × `size`; None for as they are.

        `fps` picks the frames nearest in time to 0, 1/fps, 2/fps … seconds after the
        first frame, which repeats frames where the video is slower. `frames` keeps so
        many of them from number `first` on: the others are decoded, but never resized,
        and those after the last one not even decoded. Errors: `Undecodable`;
        `EndsEarly` where the video does not hold `first + frames`.
        """
        resize, kept, count = _resizer(self.path, size), self._kept(fps), 0
        if frames is None:
            yield from map(resize, islice(kept, first, None))
            return
        for count, frame in enumerate(islice(kept, first + frames), 1):
            if count > first:
                yield resize(frame)
        if count < first + frames:
            raise EndsEarly(count)

    def count_frames(self, fps: float | None = None) -> int:
        """How many frames `decode` gives: decodes all. Errors: `Undecodable`."""
        return sum(1 for _ in self._kept(fps))

    def _kept(self, fps: float | None) -> Iterator[av.VideoFrame]:
        frames = _frames(self.path, self.container, self.stream)
        return (
            frames if fps is None else nearest_in_time(_timed(self.path, frames), fps)
        )


def probe(path: Path) -> VideoFacts:
    """Read the header only. Errors: `Undecodable` (`open`, `no-video`)."""
    with open_video(path) as video:
        return video.facts


def decode(
    path: Path,
    size: int | None,
    fps: float | None = None,
    first: int = 0,
    frames: int | None = None,
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Frames of a video file, as `OpenVideo.decode`."""
    with open_video(path) as video:
        yield from video.decode(size, fps, first, frames)


def count_frames(path: Path, fps: float | None = None) -> int:
    """How many frames `decode` gives: decodes all. Errors: `Undecodable`."""
    with open_video(path) as video:
        return video.count_frames(fps)


def _resizer(path: Path, size: int | None) -> Callable[[av.VideoFrame], np.ndarray]:
    """Resizes; a frame that comes twice in a row is resized once."""
    resizer = Resizer(size)
    previous: tuple[av.VideoFrame, np.ndarray] | None = None

    def resize(frame: av.VideoFrame) -> np.ndarray:
        nonlocal previous
        if previous is None or previous[0] is not frame:
            try:
                previous = (frame, resizer(frame))
            except (av.FFmpegError, OSError) as error:
                detail = f"cannot convert {frame.format.name} ({_why(error)})"
                raise Undecodable(path, "decode", detail) from error
        return previous[1]

    return resize


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
def open_video(path: Path) -> Iterator[OpenVideo]:
    """A file and its first video stream, closed at the end.

    Errors: `Undecodable` (`open`, `no-video`).
    """
    try:
        # A `file:` name keeps a path that looks like an option or a URL a path.
        only = {"format_whitelist": FORMATS}
        name = f"file:{path.absolute()}"
        container = av.open(name, options=only, **ANY_TITLE)
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
        yield OpenVideo(path, container, streams[0])


def _frames(
    path: Path, container: InputContainer, stream: VideoStream
) -> Iterator[av.VideoFrame]:
    """Decoded frames in the order of display; strict about damage."""
    # One process per file is faster than threads that steal from other files.
    stream.thread_type = "NONE"
    stream.codec_context.options = {"err_detect": "explode"}
    done, end = 0, 0.0
    if not has_its_end(path, container):
        raise Undecodable(path, "decode", "its last bytes are missing")
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise Undecodable(path, "decode", f"broken after frame {done}")
            end = max(end, _end(packet))
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
    if missing := cut_short(path, container, stream, done, end):
        raise Undecodable(path, "decode", missing)


def _end(packet: av.Packet) -> float:
    """When the last thing in a packet is over, in seconds; 0 where it does not say."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


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
