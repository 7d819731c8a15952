"""A contact sheet: what was prepared, clip by clip, so that a person can look at it.

Each part is one split; each of its cells is one clip, a few frames of it side by side
(or, in the film, playing), with its label below. Cells fill a grid.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from jaxtyping import UInt8

from svtcli.render.canvas import (
    QUIET,
    Canvas,
    Corner,
    Extent,
    blank,
    enlarge,
    fit,
    place,
    write,
)
from svtcli.render.legend import draw_facts, facts_height, legend_width
from svtcli.render.style import Style
from svtcli.video.fonts import text_width

SHAPE = 1.4
"""Width over height that a sheet comes close to."""
LETTERS = 9
"""A label has room for so many fonts' heights, however narrow the frames are."""


@dataclass(frozen=True)
class Cell:
    """One clip: the frames to be shown, and what is written below them."""

    label: str
    length: str
    """Small print at the right of the same line; may be empty."""
    note: str
    """Small print below; may be empty."""
    video: UInt8[np.ndarray, "F H W C"]


@dataclass(frozen=True)
class Part:
    """The cells of one split."""

    title: str
    about: str
    """What stands in small print behind the title."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class SheetLayout:
    """Where everything lies, in pixels of the finished picture."""

    style: Style
    parts: tuple[Part, ...]
    beside: int
    """Frames of a clip that stand side by side."""
    across: int
    """Cells that stand side by side."""
    facts: tuple[str, ...]

    @property
    def gap(self) -> int:
        """Between the frames of one clip: they belong together."""
        return max(2, self.style.gap // 3)

    @property
    def lines(self) -> int:
        """Lines of text below a clip."""
        cells = [cell for part in self.parts for cell in part.cells]
        return 2 if any(cell.note for cell in cells) else 1

    @property
    def cell(self) -> Extent:
        """One clip with its text."""
        style, (height, width) = self.style, self.style.frame
        strip = self.beside * (width + self.gap) - self.gap
        text = self.gap + self.lines * style.line
        return height + text, max(strip, LETTERS * style.font)

    def top(self, part: int) -> int:
        """Upper edge of a part: its title, then its cells."""
        style = self.style
        heads = part * (style.line + style.gap + style.margin)
        rows = sum(ceil(len(p.cells) / self.across) for p in self.parts[:part])
        return style.margin + heads + rows * self.pitch

    @property
    def pitch(self) -> int:
        """From one line of cells to the next."""
        return self.cell[0] + self.style.margin // 2

    def corner(self, part: int, cell: int) -> Corner:
        """Upper left corner of a clip's first frame."""
        style, (line, column) = self.style, divmod(cell, self.across)
        top = self.top(part) + style.line + style.gap + line * self.pitch
        return top, style.margin + column * (self.cell[1] + style.margin)

    @property
    def foot(self) -> int:
        """Upper edge of the caption."""
        return self.top(len(self.parts))

    @property
    def extent(self) -> Extent:
        style = self.style
        right = self.corner(0, self.across - 1)[1] + self.cell[1]
        text = max(legend_width(self.facts, style), *map(self._head_width, self.parts))
        width = max(right, style.margin + text) + style.margin
        caption = facts_height(self.facts, width - 2 * style.margin, style)
        return self.foot + caption + style.margin, width

    def _head_width(self, part: Part) -> int:
        """Of a part's title and what stands behind it."""
        widths = [
            text_width(text, self.style.font) for text in (part.title, part.about)
        ]
        return sum(widths) + self.style.font

    @property
    def misshape(self) -> float:
        """How far it is from the wanted shape."""
        height, width = self.extent
        return abs(log(width / height / SHAPE))


def sheet_layout(
    parts: Sequence[Part], facts: Sequence[str], beside: int, scale: int
) -> SheetLayout:
    """Plan a sheet, `scale` screen pixels per video pixel, in a grid near `SHAPE`."""
    _, H, W, _ = parts[0].cells[0].video.shape
    style, most = Style((scale * H, scale * W)), max(len(part.cells) for part in parts)
    plans = (
        SheetLayout(style, tuple(parts), beside, across, tuple(facts))
        for across in range(1, most + 1)
    )
    return min(plans, key=lambda plan: plan.misshape)


def sheet(parts: Sequence[Part], facts: Sequence[str], scale: int) -> Canvas:
    """Draw all frames of every cell, videos of one size, side by side."""
    beside = max(len(cell.video) for part in parts for cell in part.cells)
    layout = sheet_layout(parts, facts, beside, scale)
    canvas = _paper(layout)
    for (top, left), cell in _placed(layout):
        for column, frame in enumerate(cell.video):
            step = column * (layout.style.frame[1] + layout.gap)
            place(canvas, enlarge(frame, scale), (top, left + step))
    return canvas


def sheet_film(
    parts: Sequence[Part], facts: Sequence[str], scale: int
) -> Iterator[Canvas]:
    """The frames of a film in which every cell plays; shorter ones begin again."""
    layout = sheet_layout(parts, facts, 1, scale)
    paper = _paper(layout)
    for time in range(max(len(cell.video) for part in parts for cell in part.cells)):
        canvas = paper.copy()
        for corner, cell in _placed(layout):
            frame = cell.video[time % len(cell.video)]
            place(canvas, enlarge(frame, scale), corner)
        yield canvas


def _placed(layout: SheetLayout) -> Iterator[tuple[Corner, Cell]]:
    for number, part in enumerate(layout.parts):
        for index, cell in enumerate(part.cells):
            yield layout.corner(number, index), cell


def _paper(layout: SheetLayout) -> Canvas:
    """Everything but the frames: titles, labels, caption."""
    style, canvas = layout.style, blank(layout.extent)
    for number, part in enumerate(layout.parts):
        top, left = layout.top(number), style.margin
        write(canvas, part.title, (top, left), style.font)
        behind = left + text_width(part.title, style.font) + style.font
        write(canvas, part.about, (top, behind), style.font, QUIET)
    for corner, cell in _placed(layout):
        _write_cell(canvas, layout, corner, cell)
    draw_facts(canvas, layout.facts, (layout.foot, style.margin), style)
    return canvas


def _write_cell(
    canvas: Canvas, layout: SheetLayout, corner: Corner, cell: Cell
) -> None:
    """The label below a clip, and the small print below that."""
    style, (top, left), width = layout.style, corner, layout.cell[1]
    top += style.frame[0] + layout.gap
    length = fit(cell.length, width, style.font)
    taken = text_width(length, style.font)
    write(canvas, length, (top, left + width - taken), style.font, QUIET)
    room = width - taken - style.font if length else width
    write(canvas, fit(cell.label, room, style.font), (top, left), style.font)
    note = fit(cell.note, width, style.font)
    write(canvas, note, (top + style.line, left), style.font, QUIET)
