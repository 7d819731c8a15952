"""A sheet of white paper: place pictures, fill boxes, write words. Plain NumPy.

Corners are (top, left) and extents (height, width), in pixels of the finished picture.
"""

import einops
import numpy as np
from jaxtyping import UInt8

from svtcli.video.fonts import draw_text, text_width

Canvas = UInt8[np.ndarray, "height width 3"]
Corner = tuple[int, int]
Extent = tuple[int, int]
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
INK: Colour = (32, 32, 32)
QUIET: Colour = (110, 110, 110)
MARK: Colour = (245, 166, 35)
"""Amber: what was given to the model rather than made by it."""


def blank(extent: Extent) -> Canvas:
    """White paper."""
    return np.full((*extent, 3), 255, np.uint8)


def enlarge(
    picture: UInt8[np.ndarray, "H W C"], scale: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Every video pixel becomes `scale`×`scale` equal ones; gray becomes RGB."""
    rgb = np.broadcast_to(picture, (*picture.shape[:2], 3))
    return einops.repeat(rgb, "H W c -> (H y) (W x) c", y=scale, x=scale)


def place(canvas: Canvas, picture: UInt8[np.ndarray, "_ _ 3"], corner: Corner) -> None:
    """Copy `picture` onto the canvas, unaltered."""
    (top, left), (height, width, _) = corner, picture.shape
    canvas[top : top + height, left : left + width] = picture


def fill(canvas: Canvas, corner: Corner, extent: Extent, colour: Colour) -> None:
    """Paint a box."""
    (top, left), (height, width) = corner, extent
    canvas[top : top + height, left : left + width] = colour


def write(
    canvas: Canvas, text: str, corner: Corner, size: int, colour: Colour = INK
) -> None:
    """Write one line of text, from its upper left corner; nothing passes the edge."""
    (top, left), ink = corner, draw_text(text, size)
    paper = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
    share = ink[: paper.shape[0], : paper.shape[1], None] / 255
    paper[:] = np.rint(paper * (1 - share) + np.array(colour) * share)


def fit(text: str, width: int, size: int) -> str:
    """`text`, its middle left out as far as `width` pixels demand."""
    for kept in range(len(text), 0, -1):
        shown = text if kept == len(text) else _without_middle(text, kept)
        if text_width(shown, size) <= width:
            return shown
    return ""


def _without_middle(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
