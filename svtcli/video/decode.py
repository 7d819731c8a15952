"""Decode video files to small square RGB frames, in one thread.

Damage is an error, never a shorter video: a file either gives all requested frames or
raises `Undecodable` with the reason that `svt prepare` counts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from jaxtyping import UInt8

from svtcli.failure import BadData, in_words
from svtcli.video.file_kinds import FORMATS
from svtcli.video.resize import SQUARE, Resizer, shown_size
from svtcli.video.streams import shown_stream
from svtcli.video.timing import (
    LONGEST,
    SHORTEST,
    StampsDoNotRise,
    by_stamp,
    nearest_in_time,
)
from svtcli.video.truncation import expected_frames, find_truncation, has_end_mark

CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "ffv1")
"""Codecs of datasets, phones and the web."""
Reason = Literal["open", "no-video", "decode", "time-stamps"]
ANY_TITLE: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
"""Titles in another encoding are no damage; PyAV accepts them since version 19."""
LOSSLESS = ("ffv1", "huffyuv", "ffvhuff", "utvideo", "png", "apng", "rawvideo")
BARE = ("mpeg", "mpegts", "mpegvideo", "h264", "hevc")
"""Formats that leave the shape of a pixel to the codec."""
RAW = ("h264", "hevc", "vvc", "obu", "m4v", "mpegvideo", "dirac")
"""Formats of a bare codec: FFmpeg assumes 25 frames a second unless the codec's header
states a rate."""
WIDEST = 16
"""Largest ratio of a pixel's sides; anything beyond is no statement."""
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that read the alpha channel of a WebM, which FFmpeg's own leave out."""
RGB = ("gbrp", "rgb24", "bgr24", "bgr0", "rgb0", "0rgb", "0bgr")
"""Pixel formats with eight bits a channel, no alpha, which these codecs preserve."""


class Undecodable(BadData):
    """A file that is not a whole video in time; `reason` says what is wrong."""

    def __init__(self, path: Path, reason: Reason, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.reason, self.detail = reason, detail


class WrongStamps(Undecodable):
    """A video whose frames have no time stamps, or stamps that do not rise."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, "time-stamps", detail)


class EndsEarly(Exception):
    """An undamaged video has fewer frames than requested, namely `frames`."""

    def __init__(self, frames: int) -> None:
        super().__init__(f"ends after {frames} frames")
        self.frames = frames


@dataclass(frozen=True)
class VideoFacts:
    """Contents of a file's header; `frames` is an estimate, 0 if unknown.

    Width and height are those that players show.
    """

    width: int
    height: int
    fps: float | None
    codec: str
    frames: int

    def frames_at(self, fps: float | None) -> int:
        """Number of frames that `decode` will give at `fps`, 0 if unknown."""
        if fps is None or not self.frames or not self.fps:
            return self.frames
        seconds = (self.frames - 1) / max(self.fps, 1 / LONGEST)
        return int(seconds * fps + 1e-3) + 1


@dataclass
class OpenVideo:
    """An open video file; its frames can be read once."""

    path: Path
    container: InputContainer
    stream: VideoStream
    sideways: bool = field(default=False, init=False)
    """The last frame was turned by a right angle: width and height are exchanged."""

    def __post_init__(self) -> None:
        """Read the header; later the codec's size may change."""
        stream, codec = self.stream, self.stream.codec_context
        rate = codec.framerate if self._raw else stream.average_rate
        self._header = VideoFacts(
            *shown_size(codec.width, codec.height, self.aspect),
            float(rate) if rate else None,
            codec.name,
            expected_frames(self.container, stream),
        )

    @property
    def facts(self) -> VideoFacts:
        """Contents of the header; a turn is known when a frame has been decoded."""
        header = self._header
        if self.sideways:
            return replace(header, width=header.height, height=header.width)
        return header

    @property
    def aspect(self) -> Fraction:
        """Width of a pixel over its height, by the container or else the codec."""
        told = self.stream.codec_context if self._bare else self.stream
        aspect = Fraction(told.sample_aspect_ratio or SQUARE)
        return aspect if 1 / WIDEST <= aspect <= WIDEST else SQUARE

    @property
    def _bare(self) -> bool:
        """True if the container states no aspect: the codec may change its own."""
        return self.container.format.name in BARE

    @property
    def _raw(self) -> bool:
        """True if the file states no times: the codec alone may state a rate."""
        return self.container.format.name in RAW

    @property
    def lossless(self) -> bool:
        """True if decoded pixels are certainly those that were encoded."""
        codec = self.stream.codec_context
        exact = codec.name in LOSSLESS and codec.pix_fmt in RGB
        return exact and self.aspect == SQUARE

    def decode(
        self,
        size: int | None,
        fps: float | None = None,
        first: int = 0,
        frames: int | None = None,
        stamped: bool = True,
    ) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Frames, centre-cropped and resized to `size` × `size`; None: as they are.

        `fps` picks the frames nearest in time to 0, 1/fps, 2/fps … seconds after the
        first frame, which repeats frames of a slower video. Their times are their time
        stamps or, unless `stamped`, follow from the rate in the header. `frames` limits
        their number, from number `first` on: earlier ones are decoded but not resized,
        later ones not even decoded. Errors: `Undecodable`, among them `WrongStamps`;
        `EndsEarly` if the video has fewer than `first + frames`.
        """
        resize, count = self._resizer(size), 0
        selected = self._frames_at(fps, stamped)
        if frames is None:
            yield from map(resize, islice(selected, first, None))
            return
        for count, frame in enumerate(islice(selected, first + frames), 1):
            if count > first:
                yield resize(frame)
        if count < first + frames:
            raise EndsEarly(count)

    def count_frames(self, fps: float | None = None, stamped: bool = True) -> int:
        """Number of frames that `decode` gives; decodes all. Errors: `Undecodable`."""
        return sum(1 for _ in self._frames_at(fps, stamped))

    def _resizer(self, size: int | None) -> Callable[[av.VideoFrame], np.ndarray]:
        """Function that resizes frames; one that comes twice in a row only once."""
        # The fourth byte of a pixel is unused in AVI (`BI_RGB`).
        codec, container = self.stream.codec_context.name, self.container.format.name
        resizer = Resizer(size, opaque=(codec, container) == ("rawvideo", "avi"))
        previous: tuple[av.VideoFrame, np.ndarray] | None = None
        aspect, bare = self.aspect, self._bare

        def resize(frame: av.VideoFrame) -> np.ndarray:
            nonlocal previous
            if previous is None or previous[0] is not frame:
                try:
                    picture = resizer(frame, self.aspect if bare else aspect)
                except (av.FFmpegError, OSError) as error:
                    detail = f"cannot convert {frame.format.name} ({in_words(error)})"
                    raise Undecodable(self.path, "decode", detail) from error
                previous, self.sideways = (frame, picture), resizer.sideways
            return previous[1]

        return resize

    def _frames_at(self, fps: float | None, stamped: bool) -> Iterator[av.VideoFrame]:
        frames = _frames(self.path, self.container, self.stream)
        if fps is None:
            return frames
        rate = self.facts.fps or 0.0
        if stamped and (rate or not self._raw):
            return nearest_in_time(_by_stamp(self.path, frames, rate), fps)
        if not 1 / LONGEST <= rate <= 1 / SHORTEST:
            raise WrongStamps(self.path, "no usable time stamps, and no rate is stated")
        return nearest_in_time(((n / rate, each) for n, each in enumerate(frames)), fps)


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


def missing_decoders() -> list[str]:
    """Codecs, out of `CODECS`, that PyAV's FFmpeg cannot read."""
    return sorted(set(CODECS) - av.codecs_available)


@contextmanager
def open_video(path: Path) -> Iterator[OpenVideo]:
    """Open a file and the video stream that players show. Errors: `Undecodable`
    (`open`, `no-video`)."""
    with _open(path) as container:
        stream = shown_stream(container, lambda: _open(path))
        if stream is None:
            raise Undecodable(path, "no-video", "holds no video that can be decoded")
        yield OpenVideo(path, container, stream)


def _open(path: Path) -> InputContainer:
    try:
        # `file:` protects paths that look like an option or a URL.
        only = {"format_whitelist": FORMATS}
        return av.open(f"file:{path.absolute()}", options=only, **ANY_TITLE)
    except (av.FFmpegError, OSError) as error:
        unread = isinstance(error, FileNotFoundError | PermissionError)
        what = "cannot be read" if unread else "not a video"
        raise Undecodable(path, "open", f"{what} ({in_words(error)})") from error


def _frames(
    path: Path, container: InputContainer, stream: VideoStream
) -> Iterator[av.VideoFrame]:
    """Decoded frames in display order; strict about damage."""
    decoder = _decoder(stream)
    # One process per file is faster than threads that compete with other files.
    decoder.thread_type = "NONE"
    # Without the flag, FFmpeg rounds the left edge of a cropping rectangle.
    decoder.options = {"err_detect": "explode", "flags": "+unaligned"}
    done, end = 0, 0.0
    if not has_end_mark(path, container):
        raise Undecodable(path, "decode", "its last bytes are missing")
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise Undecodable(path, "decode", f"damaged after frame {done}")
            end = max(end, _end(packet))
            for frame in decoder.decode(packet):
                if frame.is_corrupt:
                    raise Undecodable(path, "decode", f"damaged at frame {done}")
                yield frame
                done += 1
    except (av.FFmpegError, OSError) as error:
        detail = f"damaged after {done} frames ({in_words(error)})"
        raise Undecodable(path, "decode", detail) from error
    if not done:
        raise Undecodable(path, "decode", "its video stream holds no frame")
    if missing := find_truncation(path, container, stream, done, end):
        raise Undecodable(path, "decode", missing)


def _decoder(stream: VideoStream) -> VideoCodecContext:
    """Decoder of a stream, with its alpha channel if it has one."""
    name = WITH_ALPHA.get(stream.codec_context.name, "")
    if stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return stream.codec_context
    decoder = CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def _end(packet: av.Packet) -> float:
    """Time at which a packet ends, in seconds; 0 if unknown."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _by_stamp(
    path: Path, frames: Iterator[av.VideoFrame], rate: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    try:
        yield from by_stamp(((frame.time, frame) for frame in frames), rate)
    except StampsDoNotRise as error:
        raise WrongStamps(path, str(error)) from error
