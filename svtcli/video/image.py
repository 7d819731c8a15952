"""Single pictures, JPEG or PNG → RGB; crop, then Lanczos with antialias (§4.3, A.2).

Pictures of more kinds → exactly the bytes in them, RGB or gray (`frame`).
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile, UnidentifiedImageError

from svtcli.failure import BadData, Refused

Fit = Literal["crop", "squash"]
FILTER = "Pillow LANCZOS"
FORMATS = ("JPEG", "PNG")
EXACT = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
EXACT |= dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM")
"""Endings of pictures that hold what was written, and Pillow's name of their format."""
INEXACT = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Endings of pictures that may not."""
CHANNELS = {"1": 1, "L": 1, "LA": 1, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3}
"""What Pillow's modes of eight bits or fewer become."""
TIFF_EXACT = (
    *("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"),
    *("lzma", "zstd", "tiff_ccitt", "group3", "group4"),
)
"""Pillow's names of what a TIFF may be compressed by without a change."""
MOST_PIXELS = 4096 * 4096
"""A header may promise more than memory holds: larger pictures are not decoded."""


DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(EOFError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow's plugins raise where a picture is damaged."""


class Unreadable(BadData):
    """Bytes that are not a whole picture; `reason` is `open` or `decode`."""

    def __init__(self, reason: Literal["open", "decode"], detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def still(data: bytes, size: int, fit: Fit) -> UInt8[np.ndarray, "H W 3"]:
    """A picture as `size` × `size`: its centre square, or all of it squeezed.

    Errors: `Unreadable`, also for a cut-off picture.
    """
    picture = _decoded(data)
    if fit == "crop":
        width, height = picture.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Not `box=` of resize: its filter reads pixels outside of the box. Not `draft`
        # nor `reducing_gap` either: both are a few levels off.
        picture = picture.crop((left, top, left + side, top + side))
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def pixels(data: bytes) -> UInt8[np.ndarray, "H W 3"]:
    """A picture as it is. Errors: `Unreadable`."""
    return np.asarray(_decoded(data))


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height, from the header. Errors: `Unreadable`."""
    with _opened(BytesIO(data), FORMATS) as picture:
        return picture.size


def frame(path: Path) -> UInt8[np.ndarray, "H W C"]:
    """The picture in a file of a known ending, RGB or gray, exactly as it is.

    Errors: `Refused` where it is not as `frame_shape` wants it, or not fully opaque;
    `BadData` where it is damaged.
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
    """Height, width and channels that `frame` will give, from the header.

    Errors: `Refused` for anything but one picture, RGB or gray, of at most 8 bits a
    channel; `BadData` for damage.
    """
    with _frame(path) as (picture, channels):
        return picture.height, picture.width, channels


@contextmanager
def _frame(path: Path) -> Iterator[tuple[Image.Image, int]]:
    """A picture of a video, open, and its channels. Errors: as `frame_shape`."""
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
    """Why a picture's bytes are not the pixels of one frame."""
    if getattr(picture, "n_frames", 1) > 1:
        return "holds several pictures"
    # WebP has no tile: it is all one.
    decoder, _, _, stored = picture.tile[0] if picture.tile else ("", (), 0, "")
    layout, *others = (stored,) if isinstance(stored, str) else stored or ("",)
    # Pillow would round these to 8 bits without a word. (A BMP's 16 are of a pixel.)
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
    # Warnings are about metadata; the pixels are whole.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DAMAGE as error:
        detail = f"not a whole picture ({_why(error, formats)})"
        raise Unreadable(reason, detail) from error


def _why(error: Exception, formats: tuple[str, ...]) -> str:
    """One short line, the same every time: Pillow's may hold addresses and bytes."""
    if isinstance(error, UnidentifiedImageError):
        return f"neither {' nor '.join(formats)}" if formats[1:] else f"no {formats[0]}"
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:120]
