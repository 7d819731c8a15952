"""Pictures and videos into files: PNG by Pillow, GIF and MP4 by ffmpeg.

Frames arrive one after another and are never held together, except by ffmpeg's palette
search for a GIF.
"""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from svtcli.failure import Failure, StorageFailed

Picture = UInt8[np.ndarray, "height width 3"]

FASTEST_GIF = 50.0
"""Frames per second: GIF counts 1/100 s, and browsers play anything faster slowly."""

# One palette for the whole film: a palette per frame would make still areas flicker. No
# dither: it speckles pixels that should stay flat, and measured on real clips it is
# larger and further from the truth (34.4 dB without, 32.6 to 34.3 with each kind).
GIF = (
    "-filter_complex",
    (
        "split[film][study];[study]palettegen=reserve_transparent=0[palette];"
        "[film][palette]paletteuse=dither=none:diff_mode=rectangle"
    ),
    *("-fps_mode", "passthrough", "-loop", "0", "-f", "gif"),
)

# H.264 as every browser, phone and slide program decodes it. The pad makes sizes even,
# as 4:2:0 demands; the tags say which matrix turned RGB into YUV.
MP4 = (
    "-vf",
    (
        "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white,"
        "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd,format=yuv420p"
    ),
    *("-c:v", "libx264", "-preset", "slow", "-crf", "14", "-profile:v", "high"),
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
    *("-fps_mode", "passthrough", "-movflags", "+faststart", "-f", "mp4"),
)


def write_png(path: Path, picture: Picture) -> None:
    """One picture, lossless."""
    # zlib's level 9 saves 0.7 % more and takes ten times as long.
    Image.fromarray(picture).save(path, format="PNG", compress_level=6)


def png(picture: Picture) -> bytes:
    """The same in memory."""
    file = BytesIO()
    Image.fromarray(picture).save(file, format="PNG", compress_level=6)
    return file.getvalue()


def write_gif(path: Path, frames: Iterable[Picture], fps: float) -> None:
    """A GIF that plays for ever, with a palette made for it.

    At most `FASTEST_GIF` frames per second. Errors: Failure, StorageFailed.
    """
    _encode(path, frames, min(fps, FASTEST_GIF), GIF)


def write_mp4(path: Path, frames: Iterable[Picture], fps: float) -> None:
    """H.264, yuv420p, even sizes, index first: plays everywhere, starts at once.

    An odd size gets one more white row or column. Errors: Failure, StorageFailed.
    """
    _encode(path, frames, fps, MP4)


def _encode(
    path: Path, frames: Iterable[Picture], fps: float, how: Sequence[str]
) -> None:
    """Pour raw frames into ffmpeg, which writes `path` as `how` says."""
    frames = iter(frames)
    first = next(frames)
    height, width, _ = first.shape
    rate = Fraction(fps).limit_denominator(1_000_000)
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{width}x{height}")
    command = (
        *(ffmpeg_file(), "-y", "-v", "error"),
        *(*raw, "-framerate", str(rate), "-i", "pipe:0"),
        # `file:` keeps a colon in a folder's name from being read as a protocol.
        *(*how, f"file:{path}"),
    )
    with TemporaryFile() as said:
        # Shell-free; every word of the command is ours except the path.
        ffmpeg = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            assert ffmpeg.stdin is not None
            _pour(ffmpeg.stdin, first, frames)
            code = ffmpeg.wait()
        finally:
            ffmpeg.kill()
            ffmpeg.wait()
        said.seek(0)
        complaint = said.read().decode(errors="replace").strip()
    if code:
        raise _failure(path, complaint)


def _pour(pipe: IO[bytes], first: Picture, rest: Iterator[Picture]) -> None:
    """Write every frame; a reader that has gone away will say itself why it did."""
    try:
        with pipe:
            pipe.write(np.ascontiguousarray(first).data)
            for frame in rest:
                pipe.write(np.ascontiguousarray(frame).data)
    except BrokenPipeError:
        return


def ffmpeg_file() -> str:
    """Where ffmpeg is: imageio-ffmpeg carries one for every common platform.

    Errors: Failure where it has none.
    """
    try:
        import imageio_ffmpeg  # what draws no film starts without it

        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        hint = "install ffmpeg and set $IMAGEIO_FFMPEG_EXE to its path"
        raise Failure("no ffmpeg for this platform", hint) from error


def _failure(path: Path, complaint: str) -> Failure:
    if "No space left" in complaint:
        return StorageFailed(f"{path}: no space left on the disk")
    last = complaint.splitlines()[-1] if complaint else "it did not say why"
    return Failure(f"{path}: ffmpeg could not write it ({last})")
