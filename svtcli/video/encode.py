"""Encode pictures and videos: PNG by Pillow, GIF and MP4 by ffmpeg.

Frames are streamed; only ffmpeg's palette search for a GIF holds all of them.
"""

import errno
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from svtcli.failure import Failure, Refused, StorageFailed

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, a quota, or the largest file allowed."""
Picture = UInt8[np.ndarray, "height width 3"]

FRAMES, SIDE = 3, 16
"""Frames of the film of `check_round_trip`, and their size."""
FASTEST_GIF = 50.0
"""Frames per second: GIF counts in 1/100 s, and browsers slow down anything faster."""

# One palette for the whole film: a palette per frame makes still areas flicker. No
# dither: it adds speckles to flat areas, and measured on real clips the file is larger
# and the PSNR lower (34.4 dB without, 32.6 to 34.3 with each kind).
GIF = (
    "-filter_complex",
    (
        "split[film][study];[study]palettegen=reserve_transparent=0[palette];"
        "[film][palette]paletteuse=dither=none:diff_mode=rectangle"
    ),
    *("-fps_mode", "passthrough", "-loop", "0", "-f", "gif"),
)

# H.264 as every browser, phone and slide program decodes it. The pad makes sizes even,
# as 4:2:0 requires; the tags name the matrix that converted RGB to YUV.
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
    """Write a PNG file."""
    path.write_bytes(png(picture))


def png(picture: Picture) -> bytes:
    """Content of a PNG file."""
    file = BytesIO()
    # zlib's level 9 saves 0.7 % more and takes ten times as long.
    Image.fromarray(picture).save(file, format="PNG", compress_level=6)
    return file.getvalue()


def write_gif(path: Path, frames: Iterable[Picture], fps: float) -> None:
    """Write a GIF that loops, with a palette of its own.

    At most `FASTEST_GIF` frames per second. Errors: Failure, StorageFailed.
    """
    _encode(path, frames, min(fps, FASTEST_GIF), GIF)


def write_mp4(path: Path, frames: Iterable[Picture], fps: float) -> None:
    """Write an MP4 that plays everywhere: H.264, yuv420p, even sizes, index first.

    An odd size is padded by a white row or column. Errors: Failure, StorageFailed.
    """
    _encode(path, frames, fps, MP4)


def _encode(
    path: Path, frames: Iterable[Picture], fps: float, options: Sequence[str]
) -> None:
    """Pipe raw frames into ffmpeg, which writes `path` with these output options."""
    frames = iter(frames)
    first = next(frames)
    height, width, _ = first.shape
    rate = Fraction(fps).limit_denominator(1_000_000)
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{width}x{height}")
    command = (
        *(ffmpeg_file(), "-y", "-v", "error"),
        *(*raw, "-framerate", str(rate), "-i", "pipe:0"),
        # `file:` keeps a colon in a folder's name from being read as a protocol.
        *(*options, f"file:{path}"),
    )
    with TemporaryFile() as errors:
        # No shell; only the path is not ours.
        ffmpeg = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            assert ffmpeg.stdin is not None
            _pipe(ffmpeg.stdin, first, frames)
            code = ffmpeg.wait()
        finally:
            ffmpeg.kill()
            ffmpeg.wait()
        errors.seek(0)
        message = errors.read().decode(errors="replace").strip()
    for reason in map(os.strerror, FULL):
        if code and reason in message:
            raise StorageFailed(f"{path}: {reason}", "free some space, then run again")
    if code:
        reason = message.splitlines()[-1] if message else f"exit code {code}"
        raise Failure(f"{path}: ffmpeg could not write it ({reason})")


def _pipe(pipe: IO[bytes], first: Picture, rest: Iterator[Picture]) -> None:
    """Write every frame; if ffmpeg has exited, its own message tells why."""
    try:
        with pipe:
            pipe.write(np.ascontiguousarray(first).data)
            for frame in rest:
                pipe.write(np.ascontiguousarray(frame).data)
    except BrokenPipeError:
        return


def ffmpeg_file() -> str:
    """Path of ffmpeg: imageio-ffmpeg brings one for every common platform.

    Errors: Refused if there is none.
    """
    try:
        import imageio_ffmpeg  # lazily: only films need it

        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        hint = "install ffmpeg and set $IMAGEIO_FFMPEG_EXE to its path"
        raise Refused("no ffmpeg for this platform", hint) from error


def ffmpeg_version() -> str:
    """Version of the ffmpeg that writes GIF and MP4. Errors: Failure without one."""
    # The path is imageio-ffmpeg's, or the user's own choice.
    output = subprocess.run(  # noqa: S603
        [ffmpeg_file(), "-version"], capture_output=True, text=True, timeout=20
    ).stdout
    found = re.search(r"ffmpeg version (\S+)", output)
    return found[1] if found else "of an unknown version"


def check_round_trip() -> None:
    """Write a GIF and an MP4, and read the MP4. Errors: Failure if that fails."""
    from svtcli.video.decode import decode  # lazy: svt render needs no decoder

    gray = [np.full((SIDE, SIDE, 3), 60 * n, np.uint8) for n in range(FRAMES)]
    with TemporaryDirectory(prefix="svt-doctor-") as folder:
        film = Path(folder) / "film.mp4"
        write_gif(film.with_suffix(".gif"), gray, 10.0)
        write_mp4(film, gray, 10.0)
        read = list(decode(film, None))
    if len(read) != FRAMES or any(
        np.abs(a.astype(int) - b).max() > 8 for a, b in zip(gray, read, strict=True)
    ):
        raise Failure("an MP4 was read otherwise than it was written")
