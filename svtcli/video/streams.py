"""Choice of the video stream that players show."""

from collections import Counter
from collections.abc import Callable

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

COVER = Disposition.attached_pic | Disposition.timed_thumbnails
PACKETS = 64
"""Packets of one stream in which the others show that they are no single pictures."""


def shown_stream(
    container: InputContainer, again: Callable[[], InputContainer]
) -> VideoStream | None:
    """Return the default stream, or else the largest; None if none can be decoded.

    Cover art is no video, and a stream of one picture comes last. `again` opens the
    file once more, to read the first packets of several streams.
    """
    # A damaged header, or a codec that FFmpeg lacks, leaves a stream without decoder.
    streams = [
        stream
        for stream in container.streams.video
        if stream.codec_context and not stream.disposition & COVER
    ]
    if len(streams) < 2:
        return streams[0] if streams else None
    with again() as other:
        moving = _moving(other, [stream.index for stream in streams])

    def rank(stream: VideoStream) -> tuple[bool, bool, int]:
        codec = stream.codec_context
        default = bool(stream.disposition & Disposition.default)
        return stream.index in moving, default, codec.width * codec.height

    return max(streams, key=rank)


def _moving(container: InputContainer, streams: list[int]) -> set[int]:
    """Streams with more than one packet, as far as the first packets tell."""
    packets = Counter[int]()
    try:
        for packet in container.demux(*(container.streams[n] for n in streams)):
            packets[packet.stream_index] += bool(packet.size)
            if packets[packet.stream_index] == PACKETS:
                break
    except (av.FFmpegError, OSError):
        pass  # Damage is found, and named, by whoever decodes.
    return {stream for stream, count in packets.items() if count > 1}
