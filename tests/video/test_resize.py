from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from svtcli.video.decode import OpenVideo, decode
from svtcli.video.resize import SQUARE
from tests.video.real_videos import real_video
from tests.video.video_files import write_video

BT601 = (0.299, 0.114)
"""Weights of red and blue in the luma of an untagged video."""


def lanczos3(length: int, size: int) -> np.ndarray:
    """Weights [size, length] of radius-3 Lanczos with antialias, in float64."""
    scale = max(length / size, 1.0)
    centres = (np.arange(size) + 0.5) * length / size - 0.5
    x = (np.arange(length) - centres[:, None]) / scale
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)
    return weights / weights.sum(1, keepdims=True)


def chroma_up(plane: np.ndarray) -> np.ndarray:
    """Bilinear 2×: samples lie left of a pair of columns, between a pair of rows."""
    above = np.concatenate([plane[:1], plane[:-1]])
    below = np.concatenate([plane[1:], plane[-1:]])
    rows = np.stack([0.25 * above + 0.75 * plane, 0.75 * plane + 0.25 * below], 1)
    rows = rows.reshape(-1, plane.shape[1])
    right = np.concatenate([rows[:, 1:], rows[:, -1:]], 1)
    return np.stack([rows, (rows + right) / 2], 2).reshape(len(rows), -1)


def reference(frame: av.VideoFrame, size: int, kr: float, kb: float) -> np.ndarray:
    """YUV 4:2:0 of limited range → RGB → centre crop → Lanczos, all in float64."""
    h, w = frame.height, frame.width
    planes = frame.to_ndarray(format="yuv420p").astype(np.float64)
    u, v = planes[h:].reshape(2, h // 2, w // 2) - 128
    luma = (planes[:h] - 16) / 219
    cb, cr = chroma_up(u) / 112, chroma_up(v) / 112
    red, blue = luma + (1 - kr) * cr, luma + (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    rgb = 255 * np.stack([red, green, blue], -1).clip(0, 1)
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    weights = lanczos3(side, size)
    crop = rgb[top : top + side, left : left + side]
    rows = np.tensordot(weights, crop, 1)
    return np.einsum("ywc,xw->yxc", rows, weights, optimize=True).round().clip(0, 255)


def plane_by_plane(frame: av.VideoFrame, size: int, kr: float, kb: float) -> np.ndarray:
    """The same, but Lanczos takes each plane to `size` at once, and RGB comes last."""
    h, w = frame.height, frame.width
    side = min(h, w)
    planes = frame.to_ndarray(format="yuv420p").astype(np.float64)
    luma = small((planes[:h] - 16) / 219, side, size)
    chroma = (planes[h:].reshape(2, h // 2, w // 2) - 128) / 112
    cb, cr = (small(plane, side // 2, size) for plane in chroma)
    red, blue = luma + (1 - kr) * cr, luma + (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return (255 * np.stack([red, green, blue], -1)).round().clip(0, 255)


def small(plane: np.ndarray, side: int, size: int) -> np.ndarray:
    """Centre crop of one plane, then Lanczos."""
    top, left = (plane.shape[0] - side) // 2, (plane.shape[1] - side) // 2
    weights = lanczos3(side, size)
    return weights @ plane[top : top + side, left : left + side] @ weights.T


def errors(name: str, truth: Callable[..., np.ndarray] = reference) -> np.ndarray:
    """Ours − `truth` in levels, [10, 64, 64, 3]: ten frames of the first 100."""
    path = real_video(name)
    with av.open(str(path)) as container:
        frames = list(islice(container.decode(video=0), 100))[::10]
    wanted = np.stack([truth(frame, 64, *BT601) for frame in frames])
    return np.stack(list(islice(decode(path, 64), 100))[::10]) - wanted


@pytest.mark.parametrize("name", ["bikes.mp4", "bigbuckbunny.mp4"])
def test_pixels_are_those_of_float_lanczos(name: str) -> None:
    """The stated tolerance, for a whole path from decoded planes to RGB."""
    error = errors(name)
    assert np.abs(error).mean() <= 0.5
    assert abs(error.mean()) <= 0.05
    assert np.abs(error).max() <= 16


def test_colour_of_a_small_video_is_that_of_its_own_plane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """144 → 64 pixels: colour has 72 pixels of its own, and they are not doubled first.

    The reference doubles them (bilinear) and then shrinks 144 to 64; swscale goes from
    72 to 64 at once, which blurs less: to a twentieth of a level, it is the filter
    on the plane itself. Where a video is four times its frames or more, the two agree.
    """
    # The references know square pixels only; these are 128:117.
    monkeypatch.setattr(OpenVideo, "aspect", SQUARE)
    error = errors("carphone_pristine.mp4", plane_by_plane)
    assert np.abs(error).mean() <= 0.05
    assert np.abs(error).max() <= 3
    doubled = errors("carphone_pristine.mp4")
    brightness = doubled @ (BT601[0], 1 - sum(BT601), BT601[1])
    assert np.abs(brightness).mean() <= 0.5
    assert np.abs(doubled).mean() <= 0.75


def test_the_reference_is_the_filter_of_jax() -> None:
    """A second implementation, by other people, of what `lanczos3` here computes."""
    import jax

    for length, size in ((272, 64), (144, 64), (65, 64), (40, 64)):
        line = np.random.default_rng(0).uniform(0, 255, length)
        theirs = jax.image.resize(line.astype(np.float32), (size,), "lanczos3")
        np.testing.assert_allclose(lanczos3(length, size) @ line, theirs, atol=0.01)


def test_a_tagged_colour_matrix_is_honoured(tmp_path: Path) -> None:
    red = np.full((1, 32, 32, 3), (220, 60, 40), np.uint8)
    path = write_video(tmp_path / "a.mp4", red)
    tagged = tmp_path / "tagged.mp4"
    bitstream_filter(path, tagged, "h264_metadata=matrix_coefficients=1")
    with av.open(str(tagged)) as container:
        frame = next(container.decode(video=0))
    pixels = next(decode(tagged, 32)).astype(float)
    assert np.abs(pixels - reference(frame, 32, 0.2126, 0.0722)).mean() < 1
    assert np.abs(pixels - reference(frame, 32, *BT601)).mean() > 5


def bitstream_filter(path: Path, to: Path, name: str) -> None:
    """Copy a video, changing what its headers say about it."""
    with av.open(str(path)) as source, av.open(str(to), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        bitstream = av.BitStreamFilterContext(name, source.streams.video[0], stream)
        for packet in source.demux(video=0):
            for changed in bitstream.filter(packet if packet.size else None):
                changed.stream = stream
                target.mux(changed)


@pytest.mark.parametrize("shape", [(33, 47), (47, 33), (32, 32), (9, 7)])
@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le", "gray"])
def test_every_size_and_format_comes_out_square(
    tmp_path: Path, shape: tuple[int, int], pix_fmt: str
) -> None:
    h, w = shape
    video = np.full((2, h, w, 3), 130, np.uint8)
    codec = "ffv1" if pix_fmt == "gray" else "libx264"
    path = write_video(tmp_path / "odd.mkv", video, codec, pix_fmt)
    pixels = np.stack(list(decode(path, 16))).astype(int)
    assert pixels.shape == (2, 16, 16, 3)
    assert np.abs(pixels - 130).max() <= 2


def test_the_centre_is_kept_and_colours_stay_apart(tmp_path: Path) -> None:
    video = np.zeros((1, 40, 80, 3), np.uint8)
    video[:, :, 20:60] = (200, 90, 30)
    path = write_video(tmp_path / "a.mkv", video, "ffv1", "bgr0")
    (pixels,) = decode(path, 10)
    assert np.abs(pixels.astype(int) - (200, 90, 30)).max() <= 1
