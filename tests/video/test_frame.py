"""Pictures of frames: every lossless kind is read to the bit, anything else refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svtcli.failure import BadData, Refused
from svtcli.video.image import frame_shape, read_frame

RGB = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
GRAY = RGB[..., :1]
HALVES = np.where(GRAY < 128, np.uint8(0), np.uint8(255))


def pil(array: np.ndarray) -> Image.Image:
    return Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)


def palette() -> Image.Image:
    """The columns 0 to 2 of every row as colours of a palette, 0 to 20."""
    image = Image.fromarray(np.arange(63, dtype=np.uint8).reshape(7, 9), "P")
    image.putpalette(RGB.tobytes())
    return image


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize(
    ("name", "make", "expected", "options"),
    [
        ("a.png", lambda: pil(RGB), RGB, {}),
        ("a.PNG", lambda: pil(GRAY), GRAY, {}),
        ("a.png", lambda: pil(HALVES).convert("1"), HALVES, {}),
        ("a.png", lambda: pil(RGB).convert("RGBA"), RGB, {}),
        ("a.png", lambda: pil(GRAY).convert("LA"), GRAY, {}),
        ("a.png", palette, RGB, {}),
        ("a.bmp", lambda: pil(RGB), RGB, {}),
        ("a.bmp", lambda: pil(RGB).convert("RGBA"), RGB, {}),
        ("a.bmp", lambda: pil(GRAY), GRAY, {}),
        ("a.tif", lambda: pil(GRAY), GRAY, {"compression": "tiff_lzw"}),
        ("a.tiff", lambda: pil(RGB), RGB, {"compression": "tiff_adobe_deflate"}),
        ("a.tiff", lambda: pil(RGB), RGB, {"compression": "packbits"}),
        ("a.ppm", lambda: pil(RGB), RGB, {}),
        ("a.pgm", lambda: pil(GRAY), GRAY, {}),
        ("a.pbm", lambda: pil(HALVES).convert("1"), HALVES, {}),
    ],
)
def test_a_lossless_picture_is_read_to_the_bit(
    tmp_path: Path, name: str, make, expected: np.ndarray, options: dict
) -> None:
    make().save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_frame(tmp_path / name), expected)
    assert frame_shape(tmp_path / name) == expected.shape


def test_plain_text_pixmaps_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_text("P2 # made by hand\n2 1 255\n7 250\n")
    np.testing.assert_array_equal(read_frame(tmp_path / "a.pgm"), [[[7], [250]]])


def deep_rgb(path: Path) -> None:
    """A PNG of 16 bits a channel, which Pillow can read but not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = zlib.compress(b"\0" + bytes(range(12)))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def deep_gray(path: Path) -> None:
    Image.fromarray(GRAY[..., 0].astype(np.uint16) * 257).save(path)


def floats(path: Path) -> None:
    Image.fromarray(GRAY[..., 0].astype(np.float32)).save(path)


def deep_pixmap(path: Path) -> None:
    path.write_bytes(b"P6 1 1 65535\n" + bytes(6))


def scaled_pixmap(path: Path) -> None:
    path.write_bytes(b"P5 2 1 100\n" + bytes(2))


def cmyk(path: Path) -> None:
    pil(RGB).convert("CMYK").save(path)


def jpeg_inside(path: Path) -> None:
    pil(RGB).save(path, compression="jpeg")


def several(path: Path) -> None:
    pil(RGB).save(path, save_all=True, append_images=[pil(RGB[::-1])])


@pytest.mark.parametrize(
    ("ending", "write", "sentence"),
    [
        (".png", deep_rgb, "has more than 8 bits a channel"),
        (".png", deep_gray, "has more than 8 bits a channel"),
        (".tif", deep_gray, "has more than 8 bits a channel"),
        (".tif", floats, "has more than 8 bits a channel"),
        (".ppm", deep_pixmap, "its values go to 65535, not to 255"),
        (".pgm", scaled_pixmap, "its values go to 100, not to 255"),
        (".tif", cmyk, "its colours are CMYK"),
        (".tif", jpeg_inside, "is compressed by jpeg"),
        (".tif", several, "holds several pictures"),
        (".png", several, "holds several pictures"),
    ],
)
def test_anything_but_one_8_bit_picture_is_refused(
    tmp_path: Path, ending: str, write, sentence: str
) -> None:
    path = tmp_path / f"a{ending}"
    write(path)
    for read in (read_frame, frame_shape):
        with pytest.raises(Refused) as caught:
            read(path)
        assert caught.value.sentence == f"{path}: {sentence}"
        assert "8 bits a channel" in (caught.value.hint or "")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparent_pixels_are_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    image = pil(RGB).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putpixel((3, 2), (0,) * len(mode))
        image.save(path)
    else:
        colour = image.getpixel((3, 2))
        image.save(path, transparency=colour)
    with pytest.raises(Refused, match="some of its pixels are transparent"):
        read_frame(path)


def test_a_wrong_file_extension_is_damage(tmp_path: Path) -> None:
    pil(RGB).save(tmp_path / "a.jpg")
    path = (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    with pytest.raises(BadData) as caught:
        read_frame(path)
    assert caught.value.sentence == f"{path}: not a whole picture (no PNG)"


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".ppm"])
def test_a_truncated_picture_is_damage(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    pil(RGB).save(path)
    whole = path.read_bytes()
    for length in (0, 5, 30, len(whole) - 100 if ending == ".ppm" else len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(BadData) as caught:
            read_frame(path)
        assert caught.value.sentence.startswith(f"{path}: not a whole picture (")
        assert "\n" not in caught.value.sentence
    path.unlink()
    with pytest.raises(BadData):
        read_frame(path)
