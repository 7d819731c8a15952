"""Words as pixels, in the one font that Pillow carries with it (Aileron).

No font of the machine is used, so a picture looks the same everywhere.
"""

from functools import cache
from math import ceil
from unicodedata import combining, normalize

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType and draws no text")
    return font


def text_width(text: str, size: int) -> int:
    """How many pixels wide `text` is at `size` pixels."""
    return ceil(_font(size).getlength(_drawable(text)))


def line_height(size: int) -> int:
    """Height of a line of text: ascent and descent, the same for every text."""
    return sum(_font(size).getmetrics())


def draw_text(text: str, size: int) -> UInt8[np.ndarray, "height width"]:
    """How much ink each pixel of one line of `text` gets: 0 none, 255 full."""
    extent = text_width(text, size), line_height(size)
    ink = Image.new("L", extent, 0)
    ImageDraw.Draw(ink).text((0, 0), _drawable(text), fill=255, font=_font(size))
    return np.asarray(ink)


def _drawable(text: str) -> str:
    """`text` on one line; a file name may hold line breaks, or what is no text.

    The font has no accents: they are left out.
    """
    plain = (each for each in normalize("NFKD", text) if not combining(each))
    return "".join(letter if letter.isprintable() else "?" for letter in plain)
