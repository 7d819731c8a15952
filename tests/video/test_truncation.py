"""Files that end exactly between two packets, which no decoder complains about."""

from pathlib import Path

import av
import pytest

from svtcli.video.decode import Undecodable
from tests.video.video_files import (
    count_frames,
    moving_square,
    packet_positions,
    probe,
    write_animation,
    write_video,
)

CODECS = {
    "a.mp4": "libx264",
    "a.mkv": "libx264",
    "a.webm": "libvpx",
    "a.avi": "mpeg4",
    "a.flv": "flv",
    "a.gif": "",
    "a.apng": "",
}


@pytest.mark.parametrize("name", CODECS)
def test_truncation_between_two_packets_is_detected(tmp_path: Path, name: str) -> None:
    pictures = moving_square(40)
    if codec := CODECS[name]:
        path = write_video(tmp_path / name, pictures, codec, gop=5)
    else:
        path = write_animation(tmp_path / name, pictures)
    assert count_frames(path) == 40
    content, places = path.read_bytes(), packet_positions(path)
    for place in (places[5], places[20], places[30]):
        (tmp_path / f"cut-{name}").write_bytes(content[:place])
        with pytest.raises(Undecodable) as caught:
            count_frames(tmp_path / f"cut-{name}")
        assert caught.value.reason in ("open", "decode")


def test_a_video_beside_longer_sound_is_whole(tmp_path: Path) -> None:
    for name in ("a.mkv", "a.mp4", "a.avi"):
        path = write_video(tmp_path / name, moving_square(10), "mpeg4", sound=4.0)
        with av.open(str(path)) as container:
            assert (container.duration or 0) / av.time_base > 2
        assert count_frames(path) == 10


def test_frames_hidden_by_an_edit_list_are_not_missing(tmp_path: Path) -> None:
    """Cut without encoding again, at no keyframe: an MP4 lists more than it shows."""
    import subprocess

    import imageio_ffmpeg

    whole = write_video(tmp_path / "a.mp4", moving_square(40), gop=40)
    part = tmp_path / "part.mp4"
    cut = ["-ss", "2", "-i", whole, "-c", "copy", part]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", *cut], check=True)
    shown = count_frames(part)
    assert shown == 20 < probe(part).frames


def test_a_box_larger_than_its_frames_is_no_truncation(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_square(10))
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") - 4
    size = int.from_bytes(content[at : at + 4]) + 100
    content[at : at + 4] = size.to_bytes(4)
    path.write_bytes(content)
    assert count_frames(path) == 10


def test_an_uneven_rate_is_no_damage(tmp_path: Path) -> None:
    times = [0, 40, 80, 120, 5000]
    for name in ("a.mkv", "a.mp4"):
        path = write_video(tmp_path / name, moving_square(5), times=times)
        assert count_frames(path) == 5
