"""Single pictures against float64 Lanczos, and damaged ones."""

from contextlib import suppress
from io import BytesIO

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image, ImageFile

from svtcli.video import image as module
from svtcli.video.image import Unreadable, dimensions, read_pixels, read_resized
from tests.prepare.record_files import jpeg, picture
from tests.video.test_resize import lanczos3

TABLE = picture(np.random.default_rng(0), 640, 512)


def png(array: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def reference(array: np.ndarray, size: int) -> np.ndarray:
    """Lanczos in float64, both ways at once."""
    rows, columns = lanczos3(array.shape[0], size), lanczos3(array.shape[1], size)
    both = np.tensordot(rows, array, 1)  # [size, width, 3]
    return np.tensordot(both, columns, (1, 1)).swapaxes(1, 2).clip(0, 255)


@pytest.mark.parametrize("size", [64, 48, 37])
def test_pixels_are_those_of_float_lanczos(size: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (512, 640, 3), np.uint8)
    for array in (TABLE, noise):
        cropped = read_resized(png(array), size, "crop") - reference(
            array[:, 64:576], size
        )
        squashed = read_resized(png(array), size, "squash") - reference(array, size)
        for error in (cropped, squashed):
            assert np.abs(error).mean() <= 0.5
            assert abs(error.mean()) <= 0.05
            # Pillow rounds and clips between its two passes, which shows at edges.
            assert np.abs(error).max() <= 16


def test_a_jpeg_is_decoded_at_full_size_first() -> None:
    # Mean errors here: ours 0.26, `reducing_gap=3` 0.30, `draft` 0.40, bicubic 0.35.
    whole = read_pixels(jpeg(TABLE)).astype(float)
    error = read_resized(jpeg(TABLE), 64, "crop") - reference(whole[:, 64:576], 64)
    assert np.abs(error).mean() <= 0.28


def test_a_crop_reads_no_pixel_outside_of_it() -> None:
    array = np.full((64, 128, 3), 255, np.uint8)
    array[:, 32:96] = 40
    assert (read_resized(png(array), 16, "crop") == 40).all()


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (64, 64), (300, 200)])
def test_any_size_becomes_the_size_asked_for(shape: tuple[int, int]) -> None:
    array = np.full((*shape, 3), 130, np.uint8)
    for fit in ("crop", "squash"):
        assert (read_resized(png(array), 64, fit) == 130).all()
        assert read_resized(png(array), 64, fit).shape == (64, 64, 3)


def test_a_picture_of_the_right_size_is_copied() -> None:
    small = TABLE[:64, :64]
    np.testing.assert_array_equal(read_resized(png(small), 64, "crop"), small)
    np.testing.assert_array_equal(read_pixels(png(small)), small)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_become_rgb(mode: str) -> None:
    file = BytesIO()
    Image.fromarray(TABLE).convert(mode).save(file, "JPEG")
    assert read_resized(file.getvalue(), 16, "crop").shape == (16, 16, 3)


def test_dimensions_are_width_and_height() -> None:
    assert dimensions(jpeg(TABLE)) == (640, 512)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
@pytest.mark.parametrize("write", [jpeg, png])
def test_a_truncated_picture_is_an_error(write, kept: float) -> None:
    data = write(TABLE)
    with pytest.raises(Unreadable) as error:
        read_resized(data[: int(len(data) * kept)], 64, "crop")
    assert error.value.reason == "decode"
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def gif() -> bytes:
    file = BytesIO()
    Image.fromarray(TABLE[:9, :9]).save(file, "GIF")
    return file.getvalue()


@pytest.mark.parametrize("data", [b"", b"<html>", gif(), b"%!PS-Adobe-3.0 EPSF"])
def test_other_formats_than_jpeg_and_png_are_not_opened(data: bytes) -> None:
    with pytest.raises(Unreadable) as error:
        read_resized(data, 64, "crop")
    assert error.value.reason == "open"
    assert error.value.detail == "not a whole picture (neither JPEG nor PNG)"


def test_a_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png(np.zeros((4200, 4200), np.uint8))
    assert len(bomb) < 100_000
    monkeypatch.setattr(Image.Image, "convert", None)
    with pytest.raises(Unreadable, match="4200 x 4200 pixels, more than"):
        read_resized(bomb, 64, "crop")


@settings(max_examples=150)
@given(
    st.booleans(), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4)
)
def test_changed_bytes_give_a_picture_or_a_clear_error(
    as_png: bool, changes: list[tuple[int, int]]
) -> None:
    data = bytearray((png if as_png else jpeg)(TABLE[:40, :50]))
    for at, value in changes:
        data[at % min(len(data), 400)] = value
    with suppress(Unreadable):
        assert read_resized(bytes(data), 8, "crop").shape == (8, 8, 3)


def test_the_bound_leaves_room_for_the_pictures_of_the_dataset() -> None:
    assert module.MOST_PIXELS > 640 * 512
