"""Single pictures by Pillow: read, resize, draw text.

Pictures of datasets are JPEG or PNG, cropped and resized by Lanczos (§4.3, A.2).
`read_frame` reads more formats, and gives exactly the pixels in the file.
"""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from math import ceil, hypot
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import (
    ExifTags,
    Image,
    ImageDraw,
    ImageFile,
    ImageFont,
    ImageOps,
    UnidentifiedImageError,
)

from svtcli.failure import BadData, Refused, in_words

Fit = Literal["crop", "squash"]
Piece = tuple[str, str]
"""File of a font, and the words drawn in it."""
FILTER = "Pillow LANCZOS"
FORMATS = ("JPEG", "PNG")
EXACT = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
EXACT |= dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM")
"""Extensions of lossless formats, with Pillow's names."""
INEXACT = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Extensions of formats that may be lossy."""
PICTURES = EXACT | INEXACT
"""Extensions of pictures that may be frames of a video."""
CHANNELS = {"1": 1, "L": 1, "LA": 1, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3}
"""Channels of Pillow's modes with at most eight bits."""
SHOWN = tuple(dict.fromkeys(PICTURES.values()))
"""Pillow's names of their formats."""
TURNED = 5
"""EXIF orientations from here on swap width and height."""
TIFF_EXACT = (
    *("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"),
    *("lzma", "zstd", "tiff_ccitt", "group3", "group4"),
)
"""Lossless compressions of TIFF, by Pillow's names."""
MOST_PIXELS = 4096 * 4096
"""Larger pictures are not decoded: a header may claim more than memory holds."""
FINE = 4
"""Shapes are drawn enlarged this many times, for smooth edges."""
DOT = 0.05
"""Length below which an arrow is a dot."""
DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(EOFError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""Errors that Pillow's plugins raise for a damaged picture."""


class Unreadable(BadData):
    """Damaged or truncated picture; `reason` is `open` or `decode`."""

    def __init__(self, reason: Literal["open", "decode"], detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def read_resized(data: bytes, size: int, fit: Fit) -> UInt8[np.ndarray, "H W 3"]:
    """Picture of `size` × `size`: its centre square, or all of it squashed.

    Errors: `Unreadable`, also for a truncated picture.
    """
    picture = _decoded(data)
    if fit == "crop":
        width, height = picture.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Not `box=` of resize, whose filter reads pixels outside of the box; not
        # `draft` or `reducing_gap`, which are a few levels off.
        picture = picture.crop((left, top, left + side, top + side))
    return _squashed(picture, size)


def resized(
    pixels: UInt8[np.ndarray, "H W 3"], size: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Resize to `size` × `size`. Pillow's Lanczos adds integers: equal everywhere."""
    return _squashed(Image.fromarray(pixels), size)


def _squashed(picture: Image.Image, size: int) -> UInt8[np.ndarray, "H W 3"]:
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def read_pixels(data: bytes) -> UInt8[np.ndarray, "H W 3"]:
    """Picture at its own size. Errors: `Unreadable`."""
    return np.asarray(_decoded(data))


def read_shown(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Picture as viewers show it: turned by EXIF, on black, the high 8 bits of 16.

    Errors: `Unreadable`, also for several pictures in one file.
    """
    with _opened(path, SHOWN) as picture, _damage_as("decode", SHOWN):
        if getattr(picture, "n_frames", 1) > 1:
            raise ValueError("holds several pictures")
        turned = ImageOps.exif_transpose(picture)
        if turned.mode.startswith("I;16"):
            turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
        if turned.mode in ("I", "F"):
            raise ValueError("has 32 bits a channel")
        if turned.has_transparency_data:
            black = Image.new("RGBA", turned.size, (0, 0, 0, 255))
            turned = Image.alpha_composite(black, turned.convert("RGBA"))
        return np.asarray(turned.convert("RGB"))


def shown_dimensions(path: Path) -> tuple[int, int]:
    """Width and height of `read_shown`, by the header. Errors: `Unreadable`."""
    with _opened(path, SHOWN) as picture, _damage_as("open", SHOWN):
        width, height = picture.size
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= TURNED
        return (height, width) if turned else (width, height)


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height according to the header. Errors: `Unreadable`."""
    with _opened(BytesIO(data), FORMATS) as picture:
        return picture.size


def read_frame(path: Path) -> UInt8[np.ndarray, "H W C"]:
    """Exact pixels of a picture file, RGB or gray, by its extension.

    Errors: those of `frame_shape`; `Refused` if it is not fully opaque.
    """
    with _frame(path) as (picture, channels), _damage_as("decode"):
        if picture.has_transparency_data:
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
            if alpha.min() < 255:
                raise Refused(
                    f"{path}: some of its pixels are transparent",
                    "write the frames without an alpha channel",
                )
        array = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return array.reshape(*array.shape[:2], channels)


def frame_shape(path: Path) -> tuple[int, int, int]:
    """Height, width and channels of `read_frame`, according to the header.

    Errors: `Refused` for anything but one picture, RGB or gray, of at most 8 bits a
    channel; `BadData` for damage.
    """
    with _frame(path) as (picture, channels):
        return picture.height, picture.width, channels


@contextmanager
def _frame(path: Path) -> Iterator[tuple[Image.Image, int]]:
    """Open picture file, and its channels. Errors: those of `frame_shape`."""
    form = (EXACT | INEXACT)[path.suffix.lower()]
    try:
        with _opened(path, (form,)) as picture:
            with _damage_as("open"):
                wrong = _not_a_frame(picture)
            if wrong is not None:
                raise Refused(
                    f"{path}: {wrong}",
                    "write one picture per frame: RGB or gray, 8 bits a channel",
                )
            yield picture, CHANNELS[picture.mode]
    except Unreadable as error:
        raise BadData(f"{path}: {error.detail}") from error


def _not_a_frame(picture: ImageFile.ImageFile) -> str | None:
    """Reason why a picture's bytes are not the pixels of one frame, if there is one."""
    if getattr(picture, "n_frames", 1) > 1:
        return "holds several pictures"
    # WebP has no tile.
    decoder, _, _, stored = picture.tile[0] if picture.tile else ("", (), 0, "")
    layout, *others = (stored,) if isinstance(stored, str) else stored or ("",)
    # Pillow would silently round these to 8 bits. (A BMP's 16 are bits of a pixel.)
    many = ";16" in layout and picture.format != "BMP"
    if many or picture.mode.startswith(("I", "F")):
        return "has more than 8 bits a channel"
    if decoder in ("ppm", "ppm_plain") and others and others[-1] != 255:
        return f"its values go to {others[-1]}, not to 255"
    if picture.mode not in CHANNELS:
        return f"its colours are {picture.mode}"
    if picture.format == "TIFF" and picture.info.get("compression") not in TIFF_EXACT:
        return f"is compressed by {picture.info.get('compression')}"
    return None


def _decoded(data: bytes) -> Image.Image:
    with _opened(BytesIO(data), FORMATS) as picture, _damage_as("decode"):
        return picture.convert("RGB")


@contextmanager
def _opened(
    file: BytesIO | Path, formats: tuple[str, ...]
) -> Iterator[ImageFile.ImageFile]:
    with _damage_as("open", formats):
        picture = Image.open(file, formats=formats)
    with picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            detail = f"{width} x {height} pixels, more than {MOST_PIXELS}"
            raise Unreadable("open", detail)
        yield picture


@contextmanager
def _damage_as(
    reason: Literal["open", "decode"], formats: tuple[str, ...] = FORMATS
) -> Iterator[None]:
    # Warnings are about metadata; the pixels are not affected.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DAMAGE as error:
        detail = f"not a whole picture ({_why(error, formats)})"
        raise Unreadable(reason, detail) from error


def _why(error: Exception, formats: tuple[str, ...]) -> str:
    """One short, reproducible line: Pillow's may contain addresses and bytes."""
    if isinstance(error, UnidentifiedImageError):
        return f"neither {' nor '.join(formats)}" if formats[1:] else f"no {formats[0]}"
    return in_words(error)[:120]


def enlarge_smoothly(
    video: UInt8[np.ndarray, "F H W C"], scale: int
) -> UInt8[np.ndarray, "F height width C"]:
    """Upscale frames by Lanczos for display; never for anything measured."""
    _, H, W, C = video.shape
    size = scale * W, scale * H
    flat = video[..., 0] if C == 1 else video
    grown = [
        np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
        for frame in flat
    ]
    return np.stack(grown).reshape(-1, scale * H, scale * W, C)


@cache
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


def ascent_and_descent(file: str, size: int) -> tuple[int, int]:
    """Pixels above and below the baseline of a font of `size` pixels."""
    return _font(file, size).getmetrics()


def text_width(pieces: Sequence[Piece], size: int) -> int:
    """Width of a line of text in pixels, at a font size of `size` pixels."""
    return ceil(sum(_font(file, size).getlength(words) for file, words in pieces))


def draw_text(
    pieces: Sequence[Piece], size: int, font: str
) -> UInt8[np.ndarray, "height width"]:
    """Opacity of every pixel of a line of text, 0 to 255, as high as one of `font`."""
    above, below = ascent_and_descent(font, size)
    ink = Image.new("L", (text_width(pieces, size), above + below), 0)
    draw, left = ImageDraw.Draw(ink), 0.0
    for file, words in pieces:
        draw.text((left, above), words, fill=255, font=_font(file, size), anchor="ls")
        left += _font(file, size).getlength(words)
    return np.asarray(ink)


def draw_disc(size: int) -> UInt8[np.ndarray, "size size"]:
    """Opacity of a disc that fills a square."""
    return _smoothly(size, lambda draw, big: draw.ellipse((0, 0, big, big), fill=255))


def draw_arrow(right: float, up: float, size: int) -> UInt8[np.ndarray, "size size"]:
    """Opacity of an arrow through the middle of a square, as long as it for length 1.

    A dot where the length is near zero.
    """
    length = hypot(right, up)

    def draw(draw: ImageDraw.ImageDraw, big: int) -> None:
        middle, thick = big / 2, 0.1 * big
        if length < DOT:
            draw.circle((middle, middle), thick, fill=255)
            return
        along, reach = (right / length, -up / length), 0.42 * big * min(length, 1)
        head = min(0.36 * big, 1.2 * reach)

        def place(forward: float, aside: float) -> tuple[float, float]:
            x, y = along
            return middle + forward * x - aside * y, middle + forward * y + aside * x

        draw.line(
            (place(-reach, 0.0), place(reach - head / 2, 0.0)),
            fill=255,
            width=round(thick),
        )
        sides = (place(reach - head, -head / 2), place(reach - head, head / 2))
        draw.polygon((place(reach, 0.0), *sides), fill=255)

    return _smoothly(size, draw)


def _smoothly(
    size: int, draw: Callable[[ImageDraw.ImageDraw, int], None]
) -> UInt8[np.ndarray, "size size"]:
    """Draw a square enlarged `FINE` times, and average."""
    ink = Image.new("L", (FINE * size, FINE * size), 0)
    draw(ImageDraw.Draw(ink), FINE * size - 1)
    return np.asarray(ink.reduce(FINE))
