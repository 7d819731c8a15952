"""Codecs and video libraries of this machine: versions, and a round trip."""

import re
import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np

from svtcli.failure import Failure
from svtcli.video.decode import decode
from svtcli.video.encode import ffmpeg_file, write_gif, write_mp4

CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "ffv1")
"""Codecs of datasets, phones and the web."""
FRAMES, SIDE = 3, 16


def missing_decoders() -> list[str]:
    """Codecs, out of `CODECS`, that PyAV's FFmpeg cannot read."""
    return sorted(set(CODECS) - av.codecs_available)


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
    gray = [np.full((SIDE, SIDE, 3), 60 * n, np.uint8) for n in range(FRAMES)]
    with tempfile.TemporaryDirectory(prefix="svt-doctor-") as folder:
        film = Path(folder) / "film.mp4"
        write_gif(film.with_suffix(".gif"), gray, 10.0)
        write_mp4(film, gray, 10.0)
        read = list(decode(film, None))
    if len(read) != FRAMES or any(
        np.abs(a.astype(int) - b).max() > 8 for a, b in zip(gray, read, strict=True)
    ):
        raise Failure("an MP4 was read otherwise than it was written")
