import subprocess
from itertools import islice
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.video.decode import Undecodable, decode, open_video
from tests.video.real_videos import real_video
from tests.video.video_files import (
    moving_square,
    probe,
    truncate,
    write_sound,
    write_video,
)


def test_every_frame_comes_out_in_order(tmp_path: Path) -> None:
    video = moving_square(20, 32, 32)
    path = write_video(tmp_path / "a.mkv", video, "ffv1", "bgr0")
    np.testing.assert_array_equal(np.stack(list(decode(path, 32))), video)


def test_the_header_is_read_without_decoding() -> None:
    facts = probe(real_video("bikes.mp4"))
    assert (facts.width, facts.height, facts.fps) == (640, 272, 25.0)
    assert (facts.codec, facts.frames) == ("h264", 250)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("zero.mp4", b"", "open"),
        ("page.mp4", b"<!doctype html><html>404</html>", "open"),
        ("-i.mp4", b"\0" * 5000, "open"),
        ("http:x.mp4", b"", "open"),
    ],
)
def test_files_that_are_no_videos_are_refused_with_a_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Undecodable) as caught:
        next(decode(path, 16))
    assert caught.value.reason == reason
    assert str(path) in caught.value.sentence


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(Undecodable, match="no video") as caught:
        next(decode(write_sound(tmp_path / "a.mp4"), 16))
    assert caught.value.reason == "no-video"


def test_a_truncated_file_never_passes_for_a_shorter_video(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", moving_square(30), gop=5)
    frames = 30

    @given(st.floats(0.01, 0.999))
    def law(share: float) -> None:
        seen = []
        with pytest.raises(Undecodable) as caught:
            seen.extend(decode(truncate(whole, tmp_path / "b.mp4", share), 8))
        assert caught.value.reason in ("open", "no-video", "decode")

    law()
    assert len(list(decode(whole, 8))) == frames


def test_flipped_bytes_are_an_error(tmp_path: Path) -> None:
    content = bytearray(real_video("carphone_pristine.mp4").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(b ^ 0x5A for b in content[middle:][:200])
    (tmp_path / "b.mp4").write_bytes(content)
    with pytest.raises(Undecodable) as caught:
        list(decode(tmp_path / "b.mp4", 16))
    assert caught.value.reason == "decode"


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_rotated_video_is_decoded_upright(tmp_path: Path, turn: int) -> None:
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    flat = write_video(tmp_path / "flat.mp4", moving_square(2, 48, 32))
    turned = tmp_path / "turned.mp4"
    rotate = ["-display_rotation", str(turn), "-i", flat, "-c", "copy", turned]
    subprocess.run([ffmpeg, "-v", "error", *rotate], check=True)
    # The ffmpeg command turns frames itself: it is the judge of the direction.
    upright = tmp_path / "upright.mkv"
    recode = ["-i", turned, "-c:v", "ffv1", upright]
    subprocess.run([ffmpeg, "-v", "error", *recode], check=True)
    ours = next(decode(turned, 16)).astype(int)
    assert np.abs(ours - next(decode(upright, 16))).mean() < 2
    assert np.abs(ours - next(decode(flat, 16))).mean() > 10


def test_a_video_may_change_its_size_midway(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.h264", moving_square(4, 32, 32), gop=1)
    large = write_video(tmp_path / "b.h264", moving_square(4, 64, 48), gop=1)
    both = tmp_path / "both.h264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with av.open(str(both)) as container:
        widths = [frame.width for frame in container.decode(video=0)]
    assert widths == [32] * 4 + [64] * 4
    apart = [*decode(small, 16), *decode(large, 16)]
    np.testing.assert_array_equal(np.stack(list(decode(both, 16))), np.stack(apart))


def test_fps_keeps_the_frames_nearest_in_time(tmp_path: Path) -> None:
    video = moving_square(10, 32, 32)
    times = [0, 40, 80, 500, 510, 520, 530, 960, 1000, 1010]
    path = write_video(tmp_path / "a.mkv", video, "ffv1", "bgr0", times=times)
    kept = list(decode(path, 32, fps=4.0))
    wanted = [0, 2, 3, 7, 8]  # at 0, 250, 500, 750, 1000 ms
    np.testing.assert_array_equal(np.stack(kept), video[wanted])


@pytest.mark.parametrize(
    ("name", "codec", "stamped"),
    [
        ("a.h264", "libx264", False),
        ("a.m2v", "mpeg2video", True),
        ("a.mp4", "libx264", True),
    ],
)
def test_a_bare_stream_has_the_rate_of_its_codec(
    tmp_path: Path, name: str, codec: str, stamped: bool
) -> None:
    path = write_video(tmp_path / name, moving_square(24, 32, 32), codec, fps=50)
    with open_video(path) as video:
        assert video.facts.fps == 50
        assert video.count_frames(25.0, stamped) == 12


def test_a_bare_stream_without_a_rate_has_no_times(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", moving_square(4, 64, 64))
    path, ffmpeg = tmp_path / "a.hevc", imageio_ffmpeg.get_ffmpeg_exe()
    recode = ["-c:v", "libx265", "-x265-params", "log-level=0:no-vui-timing-info=1"]
    subprocess.run([ffmpeg, "-v", "error", "-i", source, *recode, path], check=True)
    assert probe(path).fps is None
    with pytest.raises(Undecodable, match="no rate is stated"):
        list(decode(path, 32, fps=5.0))
    assert len(list(decode(path, 64))) == 4


def test_half_the_rate_keeps_every_second_frame() -> None:
    path = real_video("bikes.mp4")
    half = np.stack(list(islice(decode(path, 16, fps=12.5), 20)))
    every = np.stack(list(islice(decode(path, 16), 40)))
    np.testing.assert_array_equal(half, every[::2])
