"""Film strips as in the paper's figures (Figs. 3 to 8, 13): time runs to the right.

One row for each video of a group, its frames side by side; given frames lie on amber.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from svtcli.render.canvas import (
    INK,
    MARK,
    QUIET,
    Canvas,
    Corner,
    Extent,
    blank,
    enlarge,
    fill,
    fit,
    place,
    write,
)
from svtcli.render.groups import Group
from svtcli.render.legend import draw_legend, legend_height, legend_width
from svtcli.render.style import Style
from svtcli.video.fonts import text_width


@dataclass(frozen=True)
class StripLayout:
    """Where everything lies, in pixels of the finished picture."""

    style: Style
    times: tuple[int, ...]
    """The frame that each column shows."""
    groups: tuple[Group, ...]
    facts: tuple[str, ...]
    """The caption's."""

    @property
    def label_width(self) -> int:
        """Of the widest row label."""
        rows = (row for group in self.groups for row in group.rows)
        return max(text_width(row.label, self.style.font) for row in rows)

    @property
    def cell(self) -> int:
        """Width of a column: of a frame, or of its number if that is wider."""
        number = text_width(str(self.times[-1]), self.style.font)
        return max(self.style.frame[1], number)

    def left(self, column: int) -> int:
        """Left edge of a column."""
        step = self.cell + self.style.gap
        return 2 * self.style.margin + self.label_width + column * step

    def top(self, group: int) -> int:
        """Upper edge of a group: its title, then the frame numbers, then its rows."""
        style = self.style
        rows = sum(len(above.rows) for above in self.groups[:group])
        heads = group * (2 * style.line + 3 * style.gap + style.margin)
        return style.margin + heads + rows * (style.frame[0] + style.gap)

    def numbers(self, group: int) -> int:
        """Upper edge of a group's line of frame numbers."""
        return self.top(group) + self.style.line + self.style.gap

    def tile(self, group: int, row: int, column: int) -> Corner:
        """Upper left corner of one frame."""
        style = self.style
        first = self.numbers(group) + style.line + style.gap
        indent = (self.cell - style.frame[1]) // 2
        top = first + row * (style.frame[0] + style.gap)
        return top, self.left(column) + indent

    @property
    def width(self) -> int:
        right = self.left(len(self.times) - 1) + self.cell + self.style.mark
        legend = self.style.margin + legend_width(self.facts, self.style)
        return max(right, legend) + self.style.margin

    @property
    def foot(self) -> int:
        """Upper edge of the caption."""
        return self.top(len(self.groups))

    @property
    def extent(self) -> Extent:
        room = self.width - 2 * self.style.margin
        caption = legend_height(self.facts, room, self.style)
        return self.foot + caption + self.style.margin, self.width


def strip_layout(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> StripLayout:
    """Plan a strip of the frames `times`, `scale` screen pixels per video pixel."""
    frames, H, W, _ = groups[0].rows[0].video.shape
    style = Style((scale * H, scale * W))
    said = (*facts, *times_in_words(times, frames))
    return StripLayout(style, tuple(times), tuple(groups), said)


def strip(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Canvas:
    """Draw the strip of `groups`, videos of one shape; `facts` make its caption.

    `times`, ascending, are the frames shown.
    """
    layout = strip_layout(groups, facts, times, scale)
    canvas = blank(layout.extent)
    for index, group in enumerate(layout.groups):
        _draw_heads(canvas, layout, index, group)
        _draw_rows(canvas, layout, index, group, scale)
    corner = (layout.foot, layout.style.margin)
    draw_legend(canvas, layout.facts, corner, layout.style)
    return canvas


def _draw_heads(canvas: Canvas, layout: StripLayout, index: int, group: Group) -> None:
    """The group's title, the amber ground of its prime frames, its frame numbers."""
    style, left = layout.style, layout.left(0)
    room = layout.width - style.margin - left
    title = fit(group.title, room, style.font)
    write(canvas, title, (layout.top(index), left), style.font, QUIET)
    _draw_ground(canvas, layout, index, group)
    for column, time in enumerate(layout.times):
        number = str(time)
        indent = (layout.cell - text_width(number, style.font)) // 2
        corner = (layout.numbers(index), layout.left(column) + indent)
        write(canvas, number, corner, style.font)


def _draw_ground(canvas: Canvas, layout: StripLayout, index: int, group: Group) -> None:
    """Amber behind the prime frames and their numbers, a mark wider on every side."""
    style = layout.style
    primes = sum(time < group.prime for time in layout.times)
    if not primes:
        return
    left = layout.left(0) - style.mark
    right = layout.left(primes - 1) + layout.cell + style.mark
    bottom = layout.tile(index, len(group.rows), 0)[0] - style.gap + style.mark
    top = layout.numbers(index)
    fill(canvas, (top, left), (bottom - top, right - left), MARK)


def _draw_rows(
    canvas: Canvas, layout: StripLayout, index: int, group: Group, scale: int
) -> None:
    style = layout.style
    for row, shown in enumerate(group.rows):
        middle = layout.tile(index, row, 0)[0] + (style.frame[0] - style.line) // 2
        right = layout.left(0) - style.margin
        indent = right - text_width(shown.label, style.font)
        write(canvas, shown.label, (middle, indent), style.font, INK)
        for column, time in enumerate(layout.times):
            frame = enlarge(shown.video[time], scale)
            place(canvas, frame, layout.tile(index, row, column))


def times_in_words(times: Sequence[int], frames: int) -> tuple[str, ...]:
    """Which of the frames are shown, where it is not all of them."""
    if len(times) == frames:
        return ()
    if len(times) > 1:
        every = times[1] - times[0]
        if list(times) == list(range(0, frames, every)):
            return (f"every {_ordinal(every)} frame",)
    return (f"{len(times)} of {frames} frames shown",)


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
