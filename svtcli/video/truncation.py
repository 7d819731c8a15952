"""Detect truncated video files by comparing the header with what was decoded.

Most truncation makes a decoder fail. A file that ends exactly between two packets reads
as a shorter video, but the headers of MP4, AVI, Matroska, FLV, GIF and APNG tell. MPEG
streams, raw streams and Y4M have no such header: truncated ones are shorter videos.
"""

import os
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

WHOLE = 0.9
"""A video with less than this share of its header's duration is truncated."""
LAST_BYTES = {"gif": b";", "apng": b"IEND\xaeB`\x82"}
PADDING = 64
"""Bytes at the end that are searched for the end mark."""


def expected_frames(container: InputContainer, stream: VideoStream) -> int:
    """Number of frames according to the header, 0 if unknown."""
    seconds = (container.duration or 0) / av.time_base
    return stream.frames or max(0, round(seconds * float(stream.average_rate or 0)))


def has_end_mark(path: Path, container: InputContainer) -> bool:
    """Return False for a GIF or APNG without its last bytes; True for other formats."""
    mark = LAST_BYTES.get(container.format.name)
    if mark is None:
        return True
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - PADDING))
        return file.read().rstrip(b"\0").endswith(mark)


def find_truncation(
    path: Path, container: InputContainer, stream: VideoStream, frames: int, end: float
) -> str | None:
    """Message on what is missing of a video that gave `frames` until `end` seconds.

    None for a complete video.
    """
    if "mp4" in container.format.name:
        # Fewer frames than its table lists are no damage: an edit list hides some.
        if frames != stream.frames and (missing := _missing_bytes(path)):
            return f"ends after {frames} frames, {missing} bytes are missing"
    elif container.format.name == "avi":
        # Its duration is an estimate from the file's size, its count is exact.
        seconds = stream.frames / float(stream.average_rate or 1)
        if frames < WHOLE * stream.frames and end < WHOLE * seconds:
            return f"ends after {frames} of {stream.frames} frames"
    expected = _expected_seconds(container, stream)
    if end < WHOLE * expected:
        return f"ends after {end:.3g} of {expected:.3g} s"
    return None


def _expected_seconds(container: InputContainer, stream: VideoStream) -> float:
    """Duration of the video stream by its header; 0 if only the sound's is known."""
    if container.format.name not in ("matroska,webm", "flv"):
        return 0.0
    whole = (container.duration or 0) / av.time_base
    if len(container.streams) == 1:
        return whole
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        # A copy may carry the tag of a longer original.
        return min(whole, 3600 * int(hours) + 60 * int(minutes) + float(seconds))
    except ValueError:
        return 0.0


def _missing_bytes(path: Path) -> int:
    """Bytes of an MP4's `mdat` box beyond the end of the file."""
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        at = 0
        while at + 16 <= length:
            file.seek(at)
            header = file.read(16)
            size = int.from_bytes(header[:4])
            if size == 1:
                size = int.from_bytes(header[8:])
            if size < 8:
                break
            at += size
            if at > length and header[4:8] == b"mdat":
                return at - length
    return 0
