"""Layout of cells under every picture: blocks of frames, their words, a caption.

Corners are (top, left) and extents (height, width), in pixels of the finished picture.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import einops
import numpy as np
from jaxtyping import UInt8

from svtcli.render.fonts import draw_text, line_height, text_width
from svtcli.video.image import draw_arrow, draw_disc

Canvas = UInt8[np.ndarray, "height width 3"]
Frame = UInt8[np.ndarray, "H W C"]
Corner = tuple[int, int]
Extent = tuple[int, int]
Colour = tuple[int, int, int]
Arrow = tuple[float, float]
"""Rightward and upward part, of length 1 at most."""

INK: Colour = (32, 32, 32)
QUIET: Colour = (110, 110, 110)
PALE: Colour = (176, 176, 176)
WHITE: Colour = (255, 255, 255)
AMBER: Colour = (245, 166, 35)
"""Marks prime frames."""
SHAPE = 1.4
"""Ratio of width to height that a grid of blocks comes close to."""
DOT = "  ·  "
KEY = "prime frames, which the model continues"
"""Meaning of the amber."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of everything that is not video, from the size of one enlarged frame."""

    frame: Extent
    """One frame at the scale of the picture: height, width."""

    @classmethod
    def of(cls, video: UInt8[np.ndarray, "F H W C"], scale: int) -> "Sizes":
        """Sizes for frames of `video`, `scale` screen pixels per video pixel."""
        _, H, W, _ = video.shape
        return cls((scale * H, scale * W))

    @property
    def font(self) -> int:
        """Height of letters: legible at a glance, never louder than the video."""
        return min(max(round(0.14 * self.frame[0]), 12), 28)

    @property
    def line(self) -> int:
        """Height of a line of text."""
        return line_height(self.font)

    @property
    def gap(self) -> int:
        """Distance between two frames."""
        return max(4, self.frame[0] // 20)

    @property
    def mark(self) -> int:
        """Width of the amber around a frame; it never touches the next one."""
        return 2 * self.gap // 3

    @property
    def dial(self) -> int:
        """Diameter of the circle around an arrow."""
        return min(max(self.frame[0] // 4, 16), 48)

    @property
    def margin(self) -> int:
        """White edge of the picture, and distance between blocks."""
        return self.line

    def below(self, frame: Corner) -> Corner:
        """Corner of the circle below a frame."""
        (top, left), (height, width) = frame, self.frame
        return top + height + self.mark, left + (width - self.dial) // 2

    def width(self, words: str) -> int:
        """Width of one line of text."""
        return text_width(words, self.font)


@dataclass(frozen=True)
class Text:
    """One line of words in a block."""

    words: str
    corner: Corner
    """Relative to the block."""
    colour: Colour = INK
    room: int | None = None
    """Width to which the words are cut; None lets them reach the margin."""


@dataclass(frozen=True)
class Block:
    """Frames that belong together; all corners are relative to the block's own."""

    extent: Extent
    cells: tuple[Corner, ...]
    """Upper left corner of each frame."""
    texts: tuple[Text, ...]
    amber: tuple[tuple[Corner, Extent], ...] = ()
    """Grounds of prime frames."""
    arrows: tuple[tuple[Corner, Arrow], ...] = ()
    """Corners of their circles, and arrows that do not change with time."""


@dataclass(frozen=True)
class Layout:
    """Places of all blocks and of the caption below them."""

    sizes: Sizes
    blocks: tuple[Block, ...]
    facts: tuple[str, ...]
    """Contents of the caption."""
    across: int = 1
    """Blocks side by side; those of a film have one extent."""
    head: int = 0
    """Height kept free above the blocks."""
    key: bool = True
    """Explain the amber in the caption."""

    def corner(self, block: int) -> Corner:
        """Upper left corner of a block, or of the one that would follow the last."""
        line, column = divmod(block, self.across)
        first = line * self.across
        heights = (each.extent[0] for each in self.blocks[: first : self.across])
        down = sum(heights) + line * (self.sizes.margin + self.sizes.gap)
        right = column * (self.blocks[0].extent[1] + self.sizes.margin)
        return self.sizes.margin + self.head + down, self.sizes.margin + right

    def cell(self, block: int, cell: int) -> Corner:
        """Upper left corner of one frame."""
        (top, left), (down, right) = self.corner(block), self.blocks[block].cells[cell]
        return top + down, left + right

    @property
    def foot(self) -> int:
        """Upper edge of the caption."""
        lines = -(-len(self.blocks) // self.across)
        return self.corner(lines * self.across)[0]

    @property
    def extent(self) -> Extent:
        """Height and width of the picture; no fact of the caption has to be cut."""
        sizes = self.sizes
        rights = [
            self.corner(number)[1] + block.extent[1]
            for number, block in enumerate(self.blocks)
        ]
        words = [sizes.width(fact) for fact in self.facts]
        words += [self._indent + sizes.width(KEY)] if self.key else []
        width = max(*rights, sizes.margin + max(words, default=0)) + sizes.margin
        lines = self.key + len(self._caption(width - 2 * sizes.margin))
        return self.foot + lines * sizes.line + sizes.margin, width

    def draw(self, frames: Iterable[Iterable[Frame | None]], scale: int) -> Canvas:
        """Paint the frames of each block into its cells; a cell of None stays empty."""
        canvas = self.paper.copy()
        for block, own in enumerate(frames):
            for cell, frame in enumerate(own):
                if frame is not None:
                    paint(canvas, frame, self.cell(block, cell), scale)
        return canvas

    @cached_property
    def paper(self) -> Canvas:
        """Everything but the frames: titles, labels, grounds, caption."""
        canvas = np.full((*self.extent, 3), 255, np.uint8)
        edge = canvas.shape[1] - self.sizes.margin
        for number, block in enumerate(self.blocks):
            top, left = self.corner(number)
            for (down, right), extent in block.amber:
                fill(canvas, (top + down, left + right), extent, AMBER)
            for text in block.texts:
                down, right = text.corner
                room = edge - left - right if text.room is None else text.room
                words = fit(text.words, room, self.sizes.font)
                corner = (top + down, left + right)
                write(canvas, words, corner, self.sizes.font, text.colour)
            for (down, right), arrow in block.arrows:
                paint_arrow(canvas, arrow, (top + down, left + right), self.sizes.dial)
        self._write_caption(canvas)
        return canvas

    def _caption(self, width: int) -> list[str]:
        """The facts joined by dots, on as few lines as `width` allows."""
        lines: list[str] = []
        for fact in self.facts:
            longer = f"{lines[-1]}{DOT}{fact}" if lines else fact
            if lines and self.sizes.width(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(fit(fact, width, self.sizes.font))
        return lines

    def _write_caption(self, canvas: Canvas) -> None:
        """The key of the amber, then the facts."""
        sizes, top, left = self.sizes, self.foot, self.sizes.margin
        if self.key:
            corner = (top + (sizes.line - sizes.font) // 2, left)
            fill(canvas, corner, (sizes.font, sizes.font), AMBER)
            write(canvas, KEY, (top, left + self._indent), sizes.font, QUIET)
            top += sizes.line
        for words in self._caption(canvas.shape[1] - 2 * sizes.margin):
            write(canvas, words, (top, left), sizes.font, QUIET)
            top += sizes.line

    @property
    def _indent(self) -> int:
        """Room for the square of the key."""
        return self.sizes.font + self.sizes.font // 2


def nearest_shape(layouts: Iterable[Layout]) -> Layout:
    """The layout whose picture is nearest to `SHAPE`."""

    def distance(layout: Layout) -> float:
        height, width = layout.extent
        return abs(log(width / height / SHAPE))

    return min(layouts, key=distance)


def grid(
    count: int, across: int, pitch: Extent, first: Corner = (0, 0)
) -> tuple[Corner, ...]:
    """Corners of `count` cells, `across` in a line, `pitch` from one to the next."""
    (top, left), (down, right) = first, pitch
    places = (divmod(n, across) for n in range(count))
    return tuple((top + line * down, left + column * right) for line, column in places)


def paint(canvas: Canvas, frame: Frame, corner: Corner, scale: int) -> None:
    """Copy a frame, each pixel as `scale`×`scale` equal ones; gray becomes RGB."""
    enlarged = einops.repeat(frame, "H W c -> (H y) (W x) c", y=scale, x=scale)
    (top, left), (height, width, _) = corner, enlarged.shape
    canvas[top : top + height, left : left + width] = enlarged


def fill(canvas: Canvas, corner: Corner, extent: Extent, colour: Colour) -> None:
    """Paint a box."""
    (top, left), (height, width) = corner, extent
    canvas[top : top + height, left : left + width] = colour


def write(
    canvas: Canvas, words: str, corner: Corner, size: int, colour: Colour = INK
) -> None:
    """Write one line of text, from its upper left corner; nothing passes the edge."""
    blend(canvas, draw_text(words, size), corner, colour)


def paint_arrow(canvas: Canvas, arrow: Arrow, corner: Corner, dial: int) -> None:
    """Draw an arrow on a white disc with a thin edge, of diameter `dial`."""
    top, left = corner
    blend(canvas, draw_disc(dial), corner, PALE)
    blend(canvas, draw_disc(dial - 2), (top + 1, left + 1), WHITE)
    blend(canvas, draw_arrow(*arrow, dial), corner, INK)


def blend(
    canvas: Canvas,
    ink: UInt8[np.ndarray, "down across"],
    corner: Corner,
    colour: Colour,
) -> None:
    """Lay a colour of this opacity over the canvas; nothing passes the edge."""
    top, left = corner
    paper = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
    share = ink[: paper.shape[0], : paper.shape[1], None] / 255
    paper[:] = np.rint(paper * (1 - share) + np.array(colour) * share)


def fit(words: str, width: int, size: int) -> str:
    """`words`, their middle left out as far as `width` pixels demand."""
    for kept in range(len(words), 0, -1):
        ends = f"{words[: (kept + 1) // 2]}…{words[len(words) - kept // 2 :]}"
        shown = words if kept == len(words) else ends
        if text_width(shown, size) <= width:
            return shown
    return ""


def right_aligned(
    words: Sequence[str], edges: Sequence[Corner], sizes: Sizes
) -> tuple[Text, ...]:
    """Labels left of frames with the corners `edges`, half-way down each."""
    middle = (sizes.frame[0] - sizes.line) // 2
    return tuple(
        Text(word, (top + middle, left - sizes.margin - sizes.width(word)))
        for word, (top, left) in zip(words, edges, strict=True)
    )
