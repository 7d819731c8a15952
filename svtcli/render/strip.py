"""Film strips as in the paper's figures (Figs. 3 to 8, 13): time runs to the right.

One row for each video of a group, its frames side by side; prime frames lie on amber.
"""

from collections.abc import Sequence

from svtcli.render.grid import (
    QUIET,
    Block,
    Canvas,
    Layout,
    Sizes,
    Text,
    grid,
    paint,
    right_aligned,
)
from svtcli.render.groups import Group, frames_shown


def strip_layout(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Layout:
    """Layout of a strip of the frames `times`; `scale` screen pixels per video pixel.

    Cells of a block lie row by row, the ground truth first.
    """
    video = groups[0].rows[0].video
    sizes = Sizes.of(video, scale)
    labels = {row.label for group in groups for row in group.rows}
    left = max(map(sizes.width, labels)) + sizes.margin
    blocks = tuple(_block(group, times, left, sizes) for group in groups)
    return Layout(sizes, blocks, (*facts, *frames_shown(times, len(video))))


def strip(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Canvas:
    """Draw the strip of `groups`, videos of one shape; `facts` make its caption.

    `times`, ascending, are the frames shown.
    """
    layout = strip_layout(groups, facts, times, scale)
    canvas = layout.paper()
    for number, group in enumerate(groups):
        frames = (row.video[time] for row in group.rows for time in times)
        for cell, frame in enumerate(frames):
            paint(canvas, frame, layout.cell(number, cell), scale)
    return canvas


def _block(group: Group, times: Sequence[int], left: int, sizes: Sizes) -> Block:
    """A title, the frame numbers, and a row for each video, `left` of it labels."""
    (height, width), gap, mark = sizes.frame, sizes.gap, sizes.mark
    numbers = sizes.line + gap
    first = numbers + sizes.line + gap
    column = max(width, sizes.width(f"{times[-1]}"))
    corners = grid(
        len(group.rows) * len(times),
        len(times),
        (height + gap, column + gap),
        (first, left + (column - width) // 2),
    )
    bottom = first + len(group.rows) * (height + gap)
    heads = tuple(
        Text(f"{time}", (numbers, edge + (width - sizes.width(f"{time}")) // 2))
        for time, (_, edge) in zip(times, corners, strict=False)
    )
    edges = tuple((top, left) for top, _ in corners[:: len(times)])
    labels = right_aligned([row.label for row in group.rows], edges, sizes)
    primes = sum(time < group.prime for time in times)
    ground = bottom - gap + mark - numbers, primes * (column + gap) - gap + 2 * mark
    return Block(
        (bottom, left + len(times) * (column + gap) - gap + mark),
        corners,
        (Text(group.title, (0, left), QUIET), *heads, *labels),
        (((numbers, left - mark), ground),) if primes else (),
    )
