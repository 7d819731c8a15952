"""Small video files of every kind that a folder of videos may hold: written, read."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from svtcli.video.decode import VideoFacts, open_video


def moving_square(frames: int, width: int = 48, height: int = 32) -> np.ndarray:
    """A gray ramp with a bright square that moves: uint8 [frames, height, width, 3]."""
    ramp = np.linspace(30, 200, width).astype(np.uint8)
    video = np.broadcast_to(ramp[:, None], (frames, height, width, 3)).copy()
    for f in range(frames):
        left = f * 2 % (width - 8)
        video[f, 10:18, left : left + 8] = (220, 60, 40)
    return video


def counting(frames: int, width: int = 48, height: int = 32) -> np.ndarray:
    """Flat frames whose brightness is 10 times their number plus 5, 255 at most."""
    levels = (10 * np.arange(frames) + 5).clip(0, 255).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (frames, height, width, 3))


def write_video(
    path: Path,
    video: np.ndarray,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    fps: int = 10,
    times: Sequence[int] | None = None,
    gop: int = 12,
    sound: float = 0.0,
    x264: str = "",
) -> Path:
    """Encode uint8 [F, H, W, 3]; `times` in milliseconds, seconds of silent `sound`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt, stream.gop_size = pix_fmt, gop
        if codec == "libx264":
            stream.options = {"crf": "10", "preset": "veryfast", "x264-params": x264}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if sound:
            _add_silence(container, sound)
        for number, picture in enumerate(video):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _add_silence(container: av.container.OutputContainer, seconds: float) -> None:
    stream = container.add_stream("aac", rate=8000, layout="mono")
    frame = av.AudioFrame.from_ndarray(
        np.zeros((1, round(8000 * seconds)), np.float32), "fltp", layout="mono"
    )
    frame.sample_rate = 8000
    container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_sound(path: Path) -> Path:
    """An mp4 that holds sound only."""
    with av.open(str(path), "w") as container:
        _add_silence(container, 1.0)
    return path


def write_animation(path: Path, video: np.ndarray) -> Path:
    """An animated GIF, APNG or WebP, ten frames a second, by another library."""
    first, *others = [Image.fromarray(picture) for picture in video]
    kind = {".gif": "GIF", ".apng": "PNG", ".webp": "WEBP"}[path.suffix]
    first.save(path, kind, save_all=True, append_images=others, duration=100)
    return path


def packet_positions(path: Path) -> list[int]:
    """Offsets of the video packets in a file."""
    with av.open(str(path)) as container:
        return sorted(packet.pos for packet in container.demux(video=0) if packet.pos)


def truncate(path: Path, to: Path, share: float) -> Path:
    """The first `share` of a file's bytes."""
    content = path.read_bytes()
    to.write_bytes(content[: int(len(content) * share)])
    return to


def probe(path: Path) -> VideoFacts:
    """Read the header only."""
    with open_video(path) as video:
        return video.facts


def count_frames(path: Path) -> int:
    """Count the frames by decoding all."""
    with open_video(path) as video:
        return video.count_frames()
