"""Transparent videos are composited on black: hidden colours never show."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from svtcli.video.decode import decode
from tests.video.video_files import write_animation

ALPHA = np.repeat(np.array([0, 128, 255, 60], np.uint8), 16)
"""Opacity of the columns of `HIDDEN`."""
HIDDEN = np.full((48, 64, 4), (200, 120, 250, 0), np.uint8)
HIDDEN[..., 3] = ALPHA
BLACKENED = np.round(HIDDEN[..., :3] * (ALPHA[:, None] / 255)).astype(int)

LOSSLESS = [
    ("a.mov", "qtrle", "argb"),
    ("a.mov", "png", "rgba"),
    ("a.mov", "rawvideo", "argb"),
    ("a.apng", "apng", "rgba"),
    ("a.mkv", "ffv1", "bgra"),
    ("a.mkv", "png", "rgba64be"),
    ("a.avi", "utvideo", "gbrap"),
]
LOSSY = [
    ("a.mov", "prores_ks", "yuva444p10le"),
    ("a.mkv", "ffv1", "yuva420p"),
    ("a.webm", "libvpx", "yuva420p"),
    ("a.webm", "libvpx-vp9", "yuva420p"),
]


def write(path: Path, codec: str, pix_fmt: str, picture: np.ndarray = HIDDEN) -> Path:
    """Four equal frames."""
    height, width, _ = picture.shape
    raw = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{width}x{height}", "-i", "-")
    more = ("-auto-alt-ref", "0", "-b:v", "2M") if "vpx" in codec else ()
    how = ("-c:v", codec, "-pix_fmt", pix_fmt, *more, "-y", path)
    command = (imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, *how)
    subprocess.run(command, input=picture.tobytes() * 4, check=True)
    return path


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), LOSSLESS)
def test_colours_are_those_on_black(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    frames = list(decode(write(tmp_path / name, codec, pix_fmt), None))
    assert len(frames) == 4
    for frame in frames:
        assert np.abs(frame - BLACKENED).max() <= 1


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), LOSSY)
def test_colours_of_lossy_codecs_are_nearly_those_on_black(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    frames = list(decode(write(tmp_path / name, codec, pix_fmt), None))
    assert len(frames) == 4
    inner = np.flatnonzero(np.arange(64) % 16 // 4 % 3)  # not at an edge of opacity
    off = np.abs(frames[-1] - BLACKENED)[:, inner]
    assert off.max() <= 10
    assert off[:, ALPHA[inner] == 0].max() == 0


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("qtrle", "argb"), ("prores_ks", "yuva444p10le")]
)
def test_nothing_hidden_bleeds_over_an_edge_when_it_is_resized(
    tmp_path: Path, codec: str, pix_fmt: str
) -> None:
    picture = np.zeros((48, 48, 4), np.uint8)
    picture[..., :3] = (255, 255, 255)
    picture[:, :25] = (90, 90, 90, 255)
    (frame, *_) = decode(write(tmp_path / "a.mov", codec, pix_fmt, picture), 16)
    # White, 100 % transparent, stands beside dark gray.
    assert frame[:, :8].max() <= 110
    assert frame[:, 12:].max() <= 3


def test_a_transparent_palette_is_followed(tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(HIDDEN[..., :3]).quantize(4)
    picture.paste(1, (0, 0, 32, 48))
    save = {"transparency": bytes([255, 0, 255, 255]), "save_all": True}
    picture.save(tmp_path / "a.png", **save)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i"]
    movie = tmp_path / "a.mov"
    copy = [tmp_path / "a.png", "-c", "copy", movie]
    subprocess.run([*command, *copy], check=True)
    (frame,) = decode(movie, None)
    assert frame[:, :32].max() == 0
    assert frame[:, 32:].max() > 200


def test_an_opaque_animation_keeps_its_pixels(tmp_path: Path) -> None:
    """A GIF always has an alpha channel, which is mostly opaque."""
    flat = np.full((4, 48, 48, 3), (255, 0, 51), np.uint8)
    for n in range(4):
        flat[n, n::4] = (0, 102, 204)
    frames = list(decode(write_animation(tmp_path / "a.gif", flat), None))
    np.testing.assert_array_equal(np.stack(frames), flat)


def test_the_unused_byte_of_a_plain_avi_is_no_alpha(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "rawvideo", "bgra")
    for frame in decode(path, None):
        np.testing.assert_array_equal(frame, HIDDEN[..., :3])
