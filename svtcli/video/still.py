"""Single pictures, JPEG or PNG → RGB; crop, then Lanczos with antialias (§4.3, A.2)."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from svtcli.failure import BadData

Fit = Literal["crop", "squash"]
FILTER = "Pillow LANCZOS"
FORMATS = ("JPEG", "PNG")
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
    with _opened(data) as picture:
        return picture.size


def _decoded(data: bytes) -> Image.Image:
    with _opened(data) as picture, _damage_as("decode"):
        return picture.convert("RGB")


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    with _damage_as("open"):
        picture = Image.open(BytesIO(data), formats=FORMATS)
    with picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            detail = f"{width} x {height} pixels, more than {MOST_PIXELS}"
            raise Unreadable("open", detail)
        yield picture


@contextmanager
def _damage_as(reason: Literal["open", "decode"]) -> Iterator[None]:
    # Warnings are about metadata; the pixels are whole.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DAMAGE as error:
        raise Unreadable(reason, f"not a whole picture ({_why(error)})") from error


def _why(error: Exception) -> str:
    """One short line, the same every time: Pillow's may hold addresses and bytes."""
    if isinstance(error, UnidentifiedImageError):
        return "neither JPEG nor PNG"
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:120]
