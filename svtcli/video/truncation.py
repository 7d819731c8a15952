"""What a video's header promises, and whether the file keeps it.

Most cuts make a decoder fail. A file that ends exactly between two packets reads as a
shorter video, but the headers of MP4, AVI, Matroska, FLV, GIF and APNG give it away.
MPEG streams, raw streams and Y4M promise nothing, and stay shorter videos.
"""

import os
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

WHOLE = 0.9
"""A video with less than this share of what its header promises has been cut."""
LAST_BYTES = {"gif": b";", "apng": b"IEND\xaeB`\x82"}
PADDING = 64
"""Bytes at the end that are looked at."""


def promised_frames(container: InputContainer, stream: VideoStream) -> int:
    """How many frames the header says there are, 0 where it says nothing."""
    seconds = (container.duration or 0) / av.time_base
    return stream.frames or max(0, round(seconds * float(stream.average_rate or 0)))


def has_its_end(path: Path, container: InputContainer) -> bool:
    """Whether an animated picture has its end mark; True for every other format."""
    mark = LAST_BYTES.get(container.format.name)
    if mark is None:
        return True
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - PADDING))
        return file.read().rstrip(b"\0").endswith(mark)


def cut_short(
    path: Path, container: InputContainer, stream: VideoStream, frames: int, end: float
) -> str | None:
    """What is missing of a video that gave `frames` and ended at `end` seconds."""
    if "mp4" in container.format.name:
        # Fewer frames than its table lists are no damage alone: an edit hides some.
        if frames != stream.frames and (missing := _missing_of_boxes(path)):
            return f"ends after {frames} frames, {missing} bytes are missing"
    elif container.format.name == "avi":
        # Its duration is guessed from the file's size, its count is written down.
        seconds = stream.frames / float(stream.average_rate or 1)
        if frames < WHOLE * stream.frames and end < WHOLE * seconds:
            return f"ends after {frames} of {stream.frames} frames"
    promised = _seconds(container, stream)
    if end < WHOLE * promised:
        return f"ends after {end:.3g} of {promised:.3g} s"
    return None


def _seconds(container: InputContainer, stream: VideoStream) -> float:
    """How long the video itself says it is; 0 where only sound might be as long."""
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


def _missing_of_boxes(path: Path) -> int:
    """How many bytes of an MP4's box of frames lie behind the end of the file."""
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
