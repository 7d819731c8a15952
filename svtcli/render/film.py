"""Samples that play beside the truth: the frames of a GIF or MP4.

Each group is a line of videos, the truth first, or several lines where they are many;
groups fill a grid. While the frames
shown are prime, every video has an amber border and the clock says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log, sqrt

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
from svtcli.render.style import Style
from svtcli.video.fonts import text_width

SHAPE = 1.4
"""Width over height that the grid of groups comes close to."""
LINE = 10
"""Videos of a group that stand in one line; more fill a grid."""


@dataclass(frozen=True)
class FilmLayout:
    """Where everything lies, in pixels of the finished picture."""

    style: Style
    groups: tuple[Group, ...]
    across: int
    """How many groups stand side by side."""
    facts: tuple[str, ...]

    @property
    def pitch(self) -> int:
        """From one video to the next; never narrower than a label of usual length."""
        style, rows = self.style, [row for g in self.groups for row in g.rows]
        label = max(text_width(row.label, style.font) for row in rows)
        least = min(label, 12 * style.font) + style.font // 2
        return max(style.frame[1] + 2 * style.mark + style.gap, least)

    @property
    def line(self) -> int:
        """Most videos side by side in a group."""
        most = max(len(group.rows) for group in self.groups)
        return most if most <= LINE else ceil(sqrt(SHAPE * most))

    @property
    def height(self) -> int:
        """Of one line of videos, with its labels."""
        return self.style.line + self.style.frame[0] + 2 * self.style.mark

    @property
    def block(self) -> Extent:
        """One group: its title, its labels, its videos."""
        style, most = self.style, max(len(group.rows) for group in self.groups)
        lines = ceil(most / self.line)
        between = (lines - 1) * style.gap
        return style.line + lines * self.height + between, self.line * self.pitch

    def corner(self, group: int) -> Corner:
        """Upper left corner of a group."""
        line, place_ = divmod(group, self.across)
        style, (height, width) = self.style, self.block
        top = 2 * style.margin + style.line + line * (height + style.margin)
        return top, style.margin + place_ * (width + style.margin)

    def tile(self, group: int, row: int) -> Corner:
        """Upper left corner of one video."""
        top, left = self.corner(group)
        line, place_ = divmod(row, self.line)
        style = self.style
        top += 2 * style.line + line * (self.height + style.gap)
        return top + style.mark, left + style.mark + place_ * self.pitch

    @property
    def foot(self) -> int:
        """Upper edge of the caption."""
        lines = ceil(len(self.groups) / self.across)
        return self.corner(lines * self.across)[0]

    @property
    def extent(self) -> Extent:
        margin = self.style.margin
        right = self.corner(self.across - 1)[1] + self.block[1]
        width = max(right, margin + legend_width(self.facts, self.style)) + margin
        caption = legend_height(self.facts, width - 2 * margin, self.style)
        return self.foot + caption + margin, width


def film_layout(
    groups: Sequence[Group], facts: Sequence[str], scale: int
) -> FilmLayout:
    """Plan a film, `scale` screen pixels per video pixel, in a grid near `SHAPE`."""
    _, H, W, _ = groups[0].rows[0].video.shape
    style = Style((scale * H, scale * W))
    plans = (
        FilmLayout(style, tuple(groups), across, tuple(facts))
        for across in range(1, len(groups) + 1)
    )
    return min(
        plans, key=lambda plan: abs(log(plan.extent[1] / plan.extent[0] / SHAPE))
    )


def film(groups: Sequence[Group], facts: Sequence[str], scale: int) -> Iterator[Canvas]:
    """The frames of the film of `groups`, videos of one shape, one after another."""
    layout = film_layout(groups, facts, scale)
    paper = _paper(layout)
    for time in range(len(groups[0].rows[0].video)):
        canvas = paper.copy()
        _draw_clock(canvas, layout, time)
        _draw_videos(canvas, layout, time, scale)
        yield canvas


def _paper(layout: FilmLayout) -> Canvas:
    """What all frames share: titles, labels, caption."""
    style, canvas = layout.style, blank(layout.extent)
    for index, group in enumerate(layout.groups):
        top, left = layout.corner(index)
        title = fit(group.title, layout.block[1] - style.mark, style.font)
        write(canvas, title, (top, left + style.mark), style.font, QUIET)
        for row, shown in enumerate(group.rows):
            above, left = layout.tile(index, row)
            corner = (above - style.mark - style.line, left)
            label = fit(shown.label, layout.pitch - style.font // 2, style.font)
            write(canvas, label, corner, style.font)
    draw_legend(canvas, layout.facts, (layout.foot, style.margin), style)
    return canvas


def _draw_clock(canvas: Canvas, layout: FilmLayout, time: int) -> None:
    """Which frame this is, and whether it was given: a word, not a colour alone."""
    style, prime = layout.style, time < layout.groups[0].prime
    clock = f"frame {time}"
    word = "prime" if prime else "sampled"
    top, left = style.margin, style.margin + style.mark
    write(canvas, clock, (top, left), style.font)
    left += text_width("frame 0000", style.font)
    if prime:
        extent = style.line, text_width(word, style.font) + style.font
        fill(canvas, (top, left - style.font // 2), extent, MARK)
    write(canvas, word, (top, left), style.font)


def _draw_videos(canvas: Canvas, layout: FilmLayout, time: int, scale: int) -> None:
    style, (height, width) = layout.style, layout.style.frame
    for index, group in enumerate(layout.groups):
        for row, shown in enumerate(group.rows):
            top, left = layout.tile(index, row)
            if time < group.prime:
                corner = (top - style.mark, left - style.mark)
                fill(
                    canvas,
                    corner,
                    (height + 2 * style.mark, width + 2 * style.mark),
                    MARK,
                )
            place(canvas, enlarge(shown.video[time], scale), (top, left))
