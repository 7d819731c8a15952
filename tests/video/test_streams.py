"""Of several video streams, the one that players show is decoded."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import pytest

from svtcli.video import decode as module
from svtcli.video.decode import Undecodable, open_video
from tests.video.video_files import count_frames, probe

VIDEO = ("-f", "lavfi", "-i", "testsrc=s=96x64:r=10:d=4")
PREVIEW = ("-f", "lavfi", "-i", "testsrc=s=32x32:r=10:d=4")
COVER = ("-f", "lavfi", "-i", "color=red:s=640x640:r=1:d=1")


def write(path: Path, *inputs: Sequence[str], flags: Sequence[str]) -> Path:
    """Write a stream of each input, with these dispositions."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    for words in inputs:
        command += words
    for n, flag in enumerate(flags):
        command += "-map", str(n), f"-disposition:v:{n}", flag
    codec = ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    subprocess.run([*command, *codec, path], check=True)
    return path


def shown(path: Path) -> tuple[int, int, int]:
    """Number of frames, width and height."""
    facts = probe(path)
    return count_frames(path), facts.width, facts.height


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi"])
@pytest.mark.parametrize(
    ("inputs", "flags"),
    [
        ((COVER, VIDEO), ("0", "default")),
        ((COVER, VIDEO), ("0", "0")),
        ((COVER, VIDEO), ("default", "default")),
        ((COVER, VIDEO), ("default", "0")),
        ((PREVIEW, VIDEO), ("default", "default")),
        ((VIDEO, PREVIEW), ("0", "0")),
    ],
)
def test_a_cover_or_a_preview_in_front_does_not_win(
    tmp_path: Path,
    name: str,
    inputs: Sequence[Sequence[str]],
    flags: Sequence[str],
) -> None:
    assert shown(write(tmp_path / name, *inputs, flags=flags)) == (40, 96, 64)


def test_a_preview_is_smaller_where_nothing_is_flagged(tmp_path: Path) -> None:
    for name in ("a.mkv", "a.avi"):
        path = write(tmp_path / name, PREVIEW, VIDEO, flags=("0", "0"))
        assert shown(path) == (40, 96, 64)


def test_the_default_stream_wins_over_a_larger_one(tmp_path: Path) -> None:
    for flags, right in ((("default", "0"), 32), (("0", "default"), 96)):
        path = write(tmp_path / f"{right}.mkv", PREVIEW, VIDEO, flags=flags)
        assert shown(path)[1] == right


def test_of_equal_streams_the_first_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", VIDEO, VIDEO, flags=("0", "0"))
    with open_video(path) as video:
        assert video.stream.index == 0


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", COVER, VIDEO, flags=("attached_pic", "0"))
    assert shown(path) == (40, 96, 64)
    sound = ("-f", "lavfi", "-i", "sine=d=1")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *COVER, *sound]
    picture = ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-disposition:v")
    only = tmp_path / "b.mp4"
    subprocess.run([*command, *picture, "attached_pic", only], check=True)
    with pytest.raises(Undecodable, match="holds no video"):
        probe(only)


def test_a_file_of_one_stream_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mkv", VIDEO, flags=("0",))
    opened: list[Path] = []
    original = module._open
    monkeypatch.setattr(module, "_open", lambda p: (opened.append(p), original(p))[1])
    probe(path)
    assert opened == [path]
