"""Still pictures of samples, as in the paper's figures.

A strip (Figs. 3 to 8, 13) has a row for each video of a group, its frames side by side:
time runs to the right.

A diversity sheet (Figs. 7 to 12) has a panel for each frame shown: the ground truth,
and below it that frame of every sample, in a grid. Of a prime frame, which all samples
share, the ground truth stands alone.

Prime frames lie on amber.
"""

from collections.abc import Sequence
from math import ceil, sqrt

from svtcli.render.grid import (
    QUIET,
    Block,
    Canvas,
    Corner,
    Layout,
    Sizes,
    Text,
    grid,
    right_aligned,
)
from svtcli.render.groups import TRUTH, Group, frames_shown
from svtcli.run.progress import counted

LATER = 3
"""Sampled frames of a diversity sheet where no frames are chosen."""


def strip(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Canvas:
    """Draw the strip of `groups`, videos of one shape; `facts` make its caption.

    `times`, ascending, are the frames shown.
    """
    frames = [[row.video[time] for row in g.rows for time in times] for g in groups]
    return strip_layout(groups, facts, times, scale).draw(frames, scale)


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
    blocks = tuple(_strip_block(group, times, left, sizes) for group in groups)
    return Layout(sizes, blocks, (*facts, *frames_shown(times, len(video))))


def _strip_block(group: Group, times: Sequence[int], left: int, sizes: Sizes) -> Block:
    """A title, the frame numbers, and a row for each video, `left` of it labels."""
    (height, width), gap, mark = sizes.frame, sizes.gap, sizes.mark
    numbers = sizes.line + gap
    first = numbers + sizes.line + gap
    column = max(width, sizes.width(f"{times[-1]}"))
    row = height + gap + (sizes.dial + gap if group.arrows else 0)
    corners = grid(
        len(group.rows) * len(times),
        len(times),
        (row, column + gap),
        (first, left + (column - width) // 2),
    )
    bottom = first + len(group.rows) * row
    heads = tuple(
        Text(f"{time}", (numbers, edge + (width - sizes.width(f"{time}")) // 2))
        for time, (_, edge) in zip(times, corners, strict=False)
    )
    edges = tuple((top, left) for top, _ in corners[:: len(times)])
    labels = right_aligned([row.label for row in group.rows], edges, sizes)
    arrows = [row.arrows[time] for row in group.rows if row.arrows for time in times]
    primes = sum(time < group.prime for time in times)
    ground = bottom - gap + mark - numbers, primes * (column + gap) - gap + 2 * mark
    return Block(
        (bottom, left + len(times) * (column + gap) - gap + mark),
        corners,
        (Text(group.title, (0, left), QUIET), *heads, *labels),
        (((numbers, left - mark), ground),) if primes else (),
        tuple(zip(map(sizes.below, corners), arrows, strict=False)),
    )


def diversity(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Canvas:
    """Draw the diversity sheet of `groups`, with the arguments of `strip`."""
    frames = [
        [
            row.video[time]
            for time in times
            for row in group.rows[: 1 if time < group.prime else None]
        ]
        for group in groups
    ]
    return diversity_layout(groups, facts, times, scale).draw(frames, scale)


def default_times(prime: int, frames: int) -> tuple[int, ...]:
    """The last prime frame, and `LATER` sampled ones, evenly up to the last."""
    later = frames - prime
    steps = (ceil(later * part / LATER) for part in range(1, LATER + 1))
    return tuple(sorted({prime - 1, *(prime - 1 + step for step in steps)}))


def diversity_layout(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Layout:
    """Layout of the frames `times`; `scale` screen pixels per video pixel.

    Cells of a block follow the frames: of each the ground truth and then, unless it is
    prime, the samples.
    """
    video = groups[0].rows[0].video
    sizes = Sizes.of(video, scale)
    blocks = tuple(_diversity_block(group, times, sizes) for group in groups)
    return Layout(sizes, blocks, (*facts, *frames_shown(times, len(video))))


def _diversity_block(group: Group, times: Sequence[int], sizes: Sizes) -> Block:
    """A title, the frame numbers, the ground truths and the grids of samples."""
    (height, width), gap, mark = sizes.frame, sizes.gap, sizes.mark
    samples = len(group.rows) - 1
    across = ceil(sqrt(samples))
    words = (TRUTH, counted(samples, "sample"))
    top, left = 2 * sizes.line + gap, max(map(sizes.width, words)) + sizes.margin
    title = Text(group.title, (0, left), QUIET)
    corners: list[Corner] = []
    heads: list[Text] = []
    amber, labelled = [], [(top, left)]
    for time in times:
        number, prime = f"{time}", time < group.prime
        indent = max(0, (width - sizes.width(number)) // 2)
        heads.append(Text(number, (top - sizes.line, left + indent)))
        corners.append((top, left))
        grid_width = width
        if prime:
            extent = height + sizes.line + mark, width + 2 * mark
            amber.append(((top - sizes.line, left - mark), extent))
        else:
            first = (top + height + 2 * gap, left)
            if len(labelled) == 1:  # below a prime frame nothing stands
                labelled.append(first)
            corners += grid(samples, across, (height + gap, width + gap), first)
            grid_width = across * (width + gap) - gap
        right = left + max(grid_width, sizes.width(number))
        left = right + sizes.margin
    labels = right_aligned(words[: len(labelled)], labelled, sizes)
    bottom = max(down for down, _ in corners) + height + gap
    return Block(
        (bottom, right + mark), tuple(corners), (title, *heads, *labels), tuple(amber)
    )
