import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from av.format import ContainerFormat

from svtcli.video.file_kinds import BY_ENDING, DEMUXERS, OTHER, VIDEO, kind_of
from tests.video.video_files import count_frames

NO_VIDEOS = {"avif", "heic", "heif", "ism", "isma", "m4a", "m4b", "mka", "mks", "ogg"}
"""Endings that FFmpeg gives to formats of videos, for pictures, audio and subtitles."""


def test_every_ending_that_ffmpeg_reads_is_taken_or_looked_into() -> None:
    for demuxer in DEMUXERS:
        for ending in ContainerFormat(demuxer, "r").extensions:
            kind = BY_ENDING.get(f".{ending}", OTHER)
            assert (kind in (VIDEO, OTHER)) != (ending in NO_VIDEOS), ending


@pytest.mark.parametrize(
    "flags",
    [
        *("-f mp4", "-f mov", "-f 3gp -c:v mpeg4", "-f matroska", "-f avi", "-f flv"),
        *("-f mpegts", "-f mpegts -mpegts_m2ts_mode 1", "-f vob", "-f mpeg1video"),
        *("-f h264", "-f hevc -c:v libx265 -x265-params log-level=none", "-f asf"),
        *("-f ogg -c:v libtheora", "-f ogg -c:v libvpx", "-f ivf -c:v libvpx"),
        *("-f nut", "-f mxf -c:v mpeg2video", "-f wtv", "-f rm -c:v rv20", "-f gif"),
        *("-f m4v -c:v mpeg4", "-f yuv4mpegpipe", "-f dirac -c:v vc2", "-f dv"),
        "-f gxf -c:v mpeg2video",
    ],
)
def test_first_bytes_tell_a_video_without_an_ending(tmp_path: Path, flags: str) -> None:
    path = tmp_path / "video"
    size = "720x576" if flags[3:5] in ("dv", "gx") else "176x144"
    colours = "yuv420p" if "gif" not in flags else "bgr8"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi"]
    command += ["-i", f"testsrc=s={size}:r=25:d=1", "-pix_fmt", colours]
    subprocess.run([*command, *flags.split(), path], check=True)
    assert kind_of(str(path)) == VIDEO
    assert count_frames(path) == 25
    path.write_bytes(path.read_bytes()[:3])
    assert kind_of(str(path)) == OTHER


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("README", b"The freedom to use", OTHER),
        ("a", b"\x89PNG\r\n\x1a\n" + bytes(99), OTHER),
        ("a", b"\0\0\0\x1cftypheic" + bytes(99), OTHER),
        ("a", b"\0\0\0\x1cftypM4A " + bytes(99), OTHER),
        ("a", b"RIFF\0\0\0\0WAVEfmt ", OTHER),
        ("a", b"", OTHER),
        ("a.ogg", b"OggS" + bytes(24) + b"\x01vorbis", "audio file"),
        ("a.ogg", b"OggS" + bytes(24) + b"\x80theora", VIDEO),
        ("a.WEBP", b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\x10", "picture"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\x12", VIDEO),
        ("a.mp4", b"no video", VIDEO),
        ("a.mp4.part", b"\0\0\0\x1cftypisom", "unfinished download"),
        ("a.jpg", b"\0\0\0\x1cftypisom", "picture"),
        ("absent", None, OTHER),
    ],
)
def test_a_known_ending_counts_and_else_the_first_bytes(
    tmp_path: Path, name: str, content: bytes | None, kind: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert kind_of(str(tmp_path / name)) == kind
