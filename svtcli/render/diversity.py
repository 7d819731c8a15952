"""Many samples of one clip, frame by frame (Figs. 7 to 12).

Each group is one clip, with a panel for each frame shown: the ground truth, and below
it that frame of every sample, in a grid. Of a prime frame, which all samples share, the
ground truth stands alone, on amber.
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
    paint,
    right_aligned,
)
from svtcli.render.groups import TRUTH, Group, frames_shown

LATER = 3
"""Sampled frames shown where no frames are chosen."""


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
    blocks = tuple(_block(group, times, sizes) for group in groups)
    return Layout(sizes, blocks, (*facts, *frames_shown(times, len(video))))


def diversity(
    groups: Sequence[Group], facts: Sequence[str], times: Sequence[int], scale: int
) -> Canvas:
    """Draw the sheet of `groups`, each with samples; `facts` make its caption.

    `times`, ascending, are the frames shown.
    """
    layout = diversity_layout(groups, facts, times, scale)
    canvas = layout.paper()
    for number, group in enumerate(groups):
        frames = [
            row.video[time]
            for time in times
            for row in group.rows[: 1 if time < group.prime else None]
        ]
        for cell, frame in enumerate(frames):
            paint(canvas, frame, layout.cell(number, cell), scale)
    return canvas


def _block(group: Group, times: Sequence[int], sizes: Sizes) -> Block:
    """A title, the frame numbers, the ground truths and the grids of samples."""
    (height, width), gap, mark = sizes.frame, sizes.gap, sizes.mark
    samples = len(group.rows) - 1
    across = ceil(sqrt(samples))
    words = (TRUTH, f"{samples} sample{'s' if samples > 1 else ''}")
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
