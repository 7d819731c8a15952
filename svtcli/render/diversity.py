"""What one beginning can become: many samples of a clip, frame by frame (Figs. 7-12).

Each group is one clip; each of its blocks is one frame of it, numbered: the truth, and
below it that frame of every sample, in a grid. Of a prime frame, which all samples
share, there is the truth alone, on amber.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from svtcli.render.canvas import (
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
from svtcli.render.strip import times_in_words
from svtcli.render.style import Style
from svtcli.video.fonts import text_width

LATER = 3
"""Blocks of sampled frames, where no frames are chosen."""


@dataclass(frozen=True)
class DiversityLayout:
    """Where everything lies, in pixels of the finished picture."""

    style: Style
    times: tuple[int, ...]
    """The frame that each block shows."""
    groups: tuple[Group, ...]
    facts: tuple[str, ...]

    @property
    def samples(self) -> int:
        """Most that a group has."""
        return max(len(group.rows) for group in self.groups) - 1

    @property
    def across(self) -> int:
        """Samples side by side in a block."""
        return ceil(sqrt(self.samples))

    @property
    def words(self) -> tuple[str, str]:
        """What stands left of the truth and of the samples."""
        return "truth", f"{self.samples} sample{'s' if self.samples > 1 else ''}"

    @property
    def pitch(self) -> Extent:
        """From one frame to the next, down and across."""
        (height, width), gap = self.style.frame, self.style.gap
        return height + gap, width + gap

    def width_of(self, block: int) -> int:
        """A prime frame takes one place, the others as many as the grid is wide."""
        number = text_width(f"{self.times[block]}", self.style.font)
        if self.times[block] < self.groups[0].prime:
            return max(self.style.frame[1], number)
        return max(self.across * self.pitch[1] - self.style.gap, number)

    def left(self, block: int) -> int:
        """Left edge of a block."""
        words = max(text_width(word, self.style.font) for word in self.words)
        widths = (self.width_of(index) for index in range(block))
        between = block * self.style.margin
        return 2 * self.style.margin + words + sum(widths) + between

    def top(self, group: int) -> int:
        """Upper edge of a group: its title, frame numbers, truth, samples."""
        style, prime = self.style, self.groups[0].prime
        grids = ceil(self.samples / self.across) * (self.times[-1] >= prime)
        height = 2 * style.line + 2 * style.gap + (1 + grids) * self.pitch[0]
        return style.margin + group * (height + 2 * style.gap + style.margin)

    def tile(self, group: int, row: int, block: int) -> Corner:
        """Upper left corner of one frame; row 0 is the truth."""
        style = self.style
        top = self.top(group) + 2 * style.line + style.gap
        if not row:
            return top, self.left(block)
        down, right = divmod(row - 1, self.across)
        first = top + self.pitch[0] + style.gap
        return first + down * self.pitch[0], self.left(block) + right * self.pitch[1]

    @property
    def width(self) -> int:
        last = len(self.times) - 1
        right = self.left(last) + self.width_of(last) + self.style.mark
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


def telling_times(prime: int, frames: int) -> tuple[int, ...]:
    """The last prime frame, and `LATER` sampled ones, evenly up to the last."""
    later = frames - prime
    steps = (ceil(later * part / LATER) for part in range(1, LATER + 1))
    return tuple(sorted({prime - 1, *(prime - 1 + step for step in steps)}))


def diversity_layout(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> DiversityLayout:
    """Plan a sheet of the frames `times`, `scale` screen pixels per video pixel."""
    frames, H, W, _ = groups[0].rows[0].video.shape
    said = (*facts, *times_in_words(times, frames))
    style = Style((scale * H, scale * W))
    return DiversityLayout(style, tuple(times), tuple(groups), said)


def diversity(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Canvas:
    """Draw the sheet of `groups`, each with samples; `facts` make its caption.

    `times`, ascending, are the frames shown.
    """
    layout = diversity_layout(groups, facts, times, scale)
    canvas = blank(layout.extent)
    for index, group in enumerate(layout.groups):
        _draw_words(canvas, layout, index, group)
        for block, time in enumerate(layout.times):
            _draw_block(canvas, layout, (index, block), group, time, scale)
    corner = (layout.foot, layout.style.margin)
    draw_legend(canvas, layout.facts, corner, layout.style)
    return canvas


def _draw_words(
    canvas: Canvas, layout: DiversityLayout, index: int, group: Group
) -> None:
    """The group's title, and what its lines are, beside the first frame of each."""
    style, left = layout.style, layout.left(0)
    title = fit(group.title, layout.width - style.margin - left, style.font)
    write(canvas, title, (layout.top(index), left), style.font, QUIET)
    sampled = [n for n, time in enumerate(layout.times) if time >= group.prime]
    # Below a prime frame nothing stands: the second word moves up to the first grid.
    blocks = (0, *sampled[:1])
    for row, (word, block) in enumerate(zip(layout.words, blocks, strict=False)):
        top, edge = layout.tile(index, row, block)
        middle = top + (style.frame[0] - style.line) // 2
        indent = edge - style.margin - text_width(word, style.font)
        write(canvas, word, (middle, indent), style.font)


def _draw_block(
    canvas: Canvas,
    layout: DiversityLayout,
    where: tuple[int, int],
    group: Group,
    time: int,
    scale: int,
) -> None:
    """One frame of a clip: its number, the truth and, of a sampled one, the samples."""
    style, (index, block) = layout.style, where
    top, left = layout.tile(index, 0, block)
    prime, number = time < group.prime, f"{time}"
    indent = max(0, (style.frame[1] - text_width(number, style.font)) // 2)
    if prime:
        corner = (top - style.line, left - style.mark)
        height, width = style.frame
        extent = height + style.line + style.mark, width + 2 * style.mark
        fill(canvas, corner, extent, MARK)
    write(canvas, number, (top - style.line, left + indent), style.font)
    for row, shown in enumerate(group.rows[: 1 if prime else None]):
        corner = layout.tile(index, row, block)
        place(canvas, enlarge(shown.video[time], scale), corner)
