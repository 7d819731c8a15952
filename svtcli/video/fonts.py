"""Draw text in the font that comes with Pillow (Aileron).

Fonts of the machine are not used, so pictures look the same everywhere.
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
    """Width of `text` in pixels, at a font size of `size` pixels."""
    return ceil(_font(size).getlength(_drawable(text)))


def line_height(size: int) -> int:
    """Height of any line of text in pixels: ascent and descent."""
    return sum(_font(size).getmetrics())


def draw_text(text: str, size: int) -> UInt8[np.ndarray, "height width"]:
    """Opacity of every pixel of one line of `text`, 0 to 255."""
    extent = text_width(text, size), line_height(size)
    ink = Image.new("L", extent, 0)
    ImageDraw.Draw(ink).text((0, 0), _drawable(text), fill=255, font=_font(size))
    return np.asarray(ink)


def _drawable(text: str) -> str:
    """Replace unprintable characters, which file names may have; drop accents, which
    the font lacks."""
    plain = (each for each in normalize("NFKD", text) if not combining(each))
    return "".join(letter if letter.isprintable() else "?" for letter in plain)
