"""Videos come out as players show them: the ffmpeg command, which turns, mirrors and
crops by itself, is the judge, pixel by pixel."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from svtcli.video import resize
from svtcli.video.decode import decode, open_video
from svtcli.video.image import read_pixels
from svtcli.video.resize import FILTER
from tests.video.video_files import moving_square, probe, write_video

PICTURE = np.random.default_rng(0).integers(0, 256, (1, 10, 14, 3), np.uint8)
TURNS = [
    [*flips, "-display_rotation", angle]
    for angle in ("0", "90", "180", "270")
    for flips in ([], ["-display_hflip"])
]


def ffmpeg(*words: str | Path) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *words]
    return subprocess.run(command, check=True, capture_output=True).stdout


def shown(path: Path, filters: str = "null") -> np.ndarray:
    """The first frame of the ffmpeg command, RGB."""
    one = ("-vf", filters, "-frames:v", "1", "-pix_fmt", "rgb24")
    return read_pixels(ffmpeg("-i", path, *one, "-f", "image2pipe", "-c", "png", "-"))


def first(path: Path, size: int | None = None) -> np.ndarray:
    (frame,) = decode(path, size, frames=1)
    return frame


@pytest.mark.parametrize("turn", TURNS, ids=" ".join)
def test_every_display_matrix_is_followed(tmp_path: Path, turn: list[str]) -> None:
    flat = write_video(tmp_path / "flat.mov", PICTURE, "png", "rgb24")
    turned = tmp_path / "turned.mov"
    ffmpeg(*turn, "-i", flat, "-c", "copy", turned)
    right = shown(turned)
    np.testing.assert_array_equal(first(turned), right)
    small = first(turned, 10).astype(int)
    start = (np.array(right.shape[:2]) - 10) // 2
    middle = right[start[0] :, start[1] :][:10, :10]
    np.testing.assert_array_equal(small, middle)


ASPECT = Fraction(64, 45)
"""Width of a pixel of 4:3 PAL video that is shown as 16:9, over its height."""
ONES = f"scale=trunc(iw*sar+0.5):ih:flags={FILTER},format=gbrp"
"""Filters of ffmpeg that make pixels square."""


def write_aspect(
    path: Path, codec: str, *more: str | Path, size: str = "72x48"
) -> Path:
    source = f"testsrc2=s={size}:r=25:d=0.2,setsar={ASPECT.numerator}/45"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", codec, *more, path)
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "png"),
        ("a.mkv", "ffv1"),
        ("a.webm", "libvpx"),
        ("a.avi", "mpeg4"),
        ("a.mpg", "mpeg1video"),
        ("a.ts", "libx264"),
        ("a.flv", "libx264"),
        ("a.wmv", "wmv2"),
        ("a.gif", "gif"),
    ],
)
def test_pixels_that_are_not_square_are_shown_square(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = write_aspect(tmp_path / name, codec)
    right = shown(path, ONES)
    assert right.shape == (48, 102, 3)
    assert (probe(path).width, probe(path).height) == (102, 48)
    np.testing.assert_array_equal(first(path), right)
    # The square that is shown, 48 by 48, is 34 by 48 as it is stored.
    cut = f"crop=34:48:exact=1,scale=16:16:flags={FILTER},format=gbrp"
    np.testing.assert_array_equal(first(path, 16), shown(path, cut))


def test_dv_is_anamorphic(tmp_path: Path) -> None:
    wide = ("-pix_fmt", "yuv420p", "-aspect", "16:9")
    path = write_aspect(tmp_path / "a.avi", "dvvideo", *wide, size="720x576")
    assert (probe(path).width, probe(path).height) == (1024, 576)
    np.testing.assert_array_equal(first(path), shown(path, ONES))


@pytest.mark.parametrize(("name", "width"), [("b.mp4", 144), ("b.ts", 102)])
def test_the_container_has_the_last_word(tmp_path: Path, name: str, width: int) -> None:
    """MPEG-TS has none: there the codec's word stands."""
    path = write_aspect(tmp_path / "a.mp4", "libx264")
    other = tmp_path / name
    ffmpeg("-i", path, "-c", "copy", "-aspect", "3:1", other)
    assert first(other).shape == shown(other, ONES).shape == (48, width, 3)


def test_a_broadcast_may_change_its_aspect_midway(tmp_path: Path) -> None:
    wide, both = tmp_path / "a.vob", tmp_path / "b.vob"
    content = b""
    for aspect in ("16:9", "4:3"):
        write_aspect(wide, "mpeg2video", "-aspect", aspect)
        content += wide.read_bytes()
    both.write_bytes(content)
    widths = [frame.shape[1] for frame in decode(both, None)]
    assert (len(widths), widths[0], widths[-1]) == (10, 85, 64)


def test_a_narrow_pixel_crops_the_height(tmp_path: Path) -> None:
    path = write_aspect(tmp_path / "a.mkv", "ffv1", "-aspect", "3:4")
    assert (probe(path).width, probe(path).height) == (36, 48)
    cut = f"crop=72:36:exact=1,scale=16:16:flags={FILTER},format=gbrp"
    np.testing.assert_array_equal(first(path, 16), shown(path, cut))


def test_a_turned_video_has_its_pixels_turned(tmp_path: Path) -> None:
    path = write_aspect(tmp_path / "a.mov", "png")
    turned = tmp_path / "b.mov"
    ffmpeg("-display_rotation", "90", "-i", path, "-c", "copy", turned)
    np.testing.assert_array_equal(first(turned), np.rot90(first(path)))
    with open_video(turned) as video:
        assert (video.facts.width, video.facts.height) == (102, 48)
        next(video.decode(8))
        assert (video.facts.width, video.facts.height) == (48, 102)


def test_only_square_pixels_keep_their_values(tmp_path: Path) -> None:
    for aspect, exact in ((Fraction(1), True), (ASPECT, False)):
        path = write_video(tmp_path / "a.mkv", PICTURE, "ffv1", "bgr0")
        with av.open(str(path)) as file:
            assert file.streams.video[0].sample_aspect_ratio in (None, 0, 1)
        wide = tmp_path / "b.mkv"
        shape = str(float(aspect * 14 / 10))
        ffmpeg("-i", path, "-c", "copy", "-aspect", shape, wide)
        with open_video(wide) as video:
            assert video.lossless == exact


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_rectangle_that_the_codec_states_is_cut_out(
    tmp_path: Path, name: str
) -> None:
    whole = write_video(tmp_path / "whole.mp4", moving_square(2))
    path = tmp_path / name
    cut = "h264_metadata=crop_left=4:crop_right=2:crop_top=6:crop_bottom=8"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", cut, path)
    right = shown(path)
    assert right.shape == (18, 42, 3)
    assert (probe(path).width, probe(path).height) == (42, 18)
    np.testing.assert_array_equal(
        first(path), shown(path, f"scale=flags={FILTER},format=gbrp")
    )


@pytest.mark.parametrize("aspect", ["1000:1", "1:100"])
def test_a_nonsensical_shape_of_a_pixel_is_no_statement(
    tmp_path: Path, aspect: str
) -> None:
    path = write_video(tmp_path / "a.mkv", moving_square(2), "ffv1", "bgr0")
    ffmpeg("-i", path, "-c", "copy", "-aspect", aspect, tmp_path / "b.mkv")
    assert first(tmp_path / "b.mkv").shape == (32, 48, 3)


def test_frames_are_not_kept_until_garbage_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyAV's side data and their frame hold each other."""
    looked: list[av.VideoFrame] = []
    original = resize.display_matrix
    monkeypatch.setattr(
        resize,
        "display_matrix",
        lambda frame: (looked.append(frame), original(frame))[1],
    )
    path = write_video(tmp_path / "a.mp4", moving_square(12))
    assert len(list(decode(path, 16))) == 12
    assert len(looked) == 1
