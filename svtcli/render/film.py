"""Samples that play beside the ground truth: the frames of a GIF or MP4.

Each group is a line of videos, or several lines where they are many; groups fill a
grid. While the frames shown are prime, every video has an amber border and the clock
names them so.
"""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt

from svtcli.render.grid import (
    AMBER,
    QUIET,
    SHAPE,
    Block,
    Canvas,
    Layout,
    Sizes,
    Text,
    fill,
    grid,
    nearest_shape,
    paint,
    paint_arrow,
    write,
)
from svtcli.render.groups import Group

LINE = 10
"""Most videos of a group in one line; more fill a grid."""
LETTERS = 12
"""Width of the longest label that pushes videos apart, in heights of a letter."""


def film_layout(groups: Sequence[Group], facts: Sequence[str], scale: int) -> Layout:
    """Layout of a film; its cells are the videos of each group."""
    sizes = Sizes.of(groups[0].rows[0].video, scale)
    labels = {row.label for group in groups for row in group.rows}
    label = min(max(map(sizes.width, labels)), LETTERS * sizes.font)
    pitch = max(sizes.frame[1] + 2 * sizes.mark + sizes.gap, label + sizes.font)
    most = max(len(group.rows) for group in groups)
    across = most if most <= LINE else ceil(sqrt(SHAPE * most))
    lines = ceil(most / across)
    blocks = tuple(_block(group, lines, across, pitch, sizes) for group in groups)
    head = sizes.margin + sizes.line
    return nearest_shape(
        Layout(sizes, blocks, tuple(facts), beside, head)
        for beside in range(1, len(groups) + 1)
    )


def film(groups: Sequence[Group], facts: Sequence[str], scale: int) -> Iterator[Canvas]:
    """The frames of the film of `groups`, videos of one shape, one after another."""
    layout = film_layout(groups, facts, scale)
    mark = layout.sizes.mark
    height, width = layout.sizes.frame
    around = height + 2 * mark, width + 2 * mark
    videos = [
        (layout.cell(number, cell), row)
        for number, group in enumerate(groups)
        for cell, row in enumerate(group.rows)
    ]
    for time in range(len(groups[0].rows[0].video)):
        canvas, prime = layout.paper.copy(), time < groups[0].prime
        _write_clock(canvas, layout, time, prime)
        for (top, left), row in videos:
            if prime:
                fill(canvas, (top - mark, left - mark), around, AMBER)
            paint(canvas, row.video[time], (top, left), scale)
            if row.arrows:
                corner = top + mark, left
                dial = layout.sizes.below(corner), layout.sizes.dial
                paint_arrow(canvas, row.arrows[time], *dial)
        yield canvas


def _block(group: Group, lines: int, across: int, pitch: int, sizes: Sizes) -> Block:
    """A title above the group's videos, each with its label and room for a border."""
    mark = sizes.mark
    height = sizes.line + sizes.frame[0] + 2 * mark
    if group.arrows:
        height += sizes.dial + sizes.gap
    down = height + sizes.gap
    first = (2 * sizes.line + mark, mark)
    corners = grid(len(group.rows), across, (down, pitch), first)
    labels = tuple(
        Text(row.label, (top - mark - sizes.line, left), room=pitch - sizes.font)
        for row, (top, left) in zip(group.rows, corners, strict=True)
    )
    extent = sizes.line + lines * down - sizes.gap, across * pitch
    title = Text(group.title, (0, mark), QUIET, extent[1] - mark)
    return Block(extent, corners, (title, *labels))


def _write_clock(canvas: Canvas, layout: Layout, time: int, prime: bool) -> None:
    """The frame's number, and whether it is prime: a word, not a colour alone."""
    sizes, word = layout.sizes, "prime" if prime else "sampled"
    top, left = sizes.margin, sizes.margin + sizes.mark
    write(canvas, f"frame {time}", (top, left), sizes.font)
    left += sizes.width("frame 0000")
    if prime:
        extent = sizes.line, sizes.width(word) + sizes.font
        fill(canvas, (top, left - sizes.font // 2), extent, AMBER)
    write(canvas, word, (top, left), sizes.font)
