"""Video files at their own size, and which of them have kept their pixels."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from svtcli.video.decode import decode, open_video
from tests.video.real_videos import real_video
from tests.video.video_files import moving_square, write_video

NOISE = np.random.default_rng(0).integers(0, 256, (5, 10, 14, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mkv", "ffv1", "bgr0"),
        ("a.avi", "huffyuv", "rgb24"),
        ("a.avi", "ffvhuff", "rgb24"),
        ("a.avi", "utvideo", "gbrp"),
        ("a.avi", "rawvideo", "bgr24"),
        ("a.mov", "png", "rgb24"),
        ("a.apng", "apng", "rgb24"),
    ],
)
def test_lossless_videos_are_read_to_the_bit(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    path = write_video(tmp_path / name, NOISE, codec, pix_fmt)
    with open_video(path) as video:
        assert video.lossless
        np.testing.assert_array_equal(np.stack([*video.decode(None)]), NOISE)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264rgb", "rgb24"),
        ("a.mkv", "ffv1", "yuv444p"),
        ("a.mkv", "ffv1", "bgra"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_other_videos_are_not_lossless(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    path = write_video(tmp_path / name, NOISE, codec, pix_fmt)
    with open_video(path) as video:
        assert not video.lossless


def test_a_real_video_keeps_its_size() -> None:
    path = real_video("bikes.mp4")
    (whole,) = decode(path, None, frames=1)
    assert whole.shape == (272, 640, 3)
    # The square that is cut out for training is its middle.
    (square,) = decode(path, 272, frames=1)
    off = np.abs(whole[:, 184:456].astype(int) - square)
    assert off.mean() < 0.5


def test_a_rotated_video_has_its_sides_exchanged(tmp_path: Path) -> None:
    flat = write_video(tmp_path / "a.mp4", moving_square(2, 48, 32))
    turned = tmp_path / "b.mp4"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    turn = ["-display_rotation", "90", "-i", flat, "-c", "copy", turned]
    subprocess.run([*ffmpeg, *turn], check=True)
    pictures = zip(decode(turned, None), decode(flat, None), strict=True)
    for upright, lying in pictures:
        assert upright.shape == (48, 32, 3)
        np.testing.assert_array_equal(upright, np.rot90(lying))
