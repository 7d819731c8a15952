"""A contact sheet: the clips of each split, a few frames of each, or playing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from svtcli.render.grid import (
    QUIET,
    Block,
    Canvas,
    Layout,
    Sizes,
    Text,
    fit,
    grid,
    nearest_shape,
    paint,
)

LETTERS = 9
"""Least width of a clip's label, in heights of a letter."""


@dataclass(frozen=True)
class Clip:
    """Frames to be shown, and the words below them."""

    label: str
    length: str
    """Small print at the right of the same line; may be empty."""
    note: str
    """Small print below; may be empty."""
    video: UInt8[np.ndarray, "F H W C"]


@dataclass(frozen=True)
class Part:
    """The clips of one split."""

    title: str
    about: str
    """Small print behind the title."""
    clips: tuple[Clip, ...]


def sheet_layout(
    parts: Sequence[Part], facts: Sequence[str], beside: int, scale: int
) -> Layout:
    """Layout of a sheet; a block's cells are `beside` frames of each of its clips."""
    sizes = Sizes.of(parts[0].clips[0].video, scale)
    noted = any(clip.note for part in parts for clip in part.clips)
    most = max(len(part.clips) for part in parts)
    return nearest_shape(
        Layout(
            sizes,
            tuple(_block(part, beside, across, noted, sizes) for part in parts),
            tuple(facts),
            key=False,
        )
        for across in range(1, most + 1)
    )


def sheet(parts: Sequence[Part], facts: Sequence[str], scale: int) -> Canvas:
    """Draw all frames of every clip, videos of one size, side by side."""
    beside = max(len(clip.video) for part in parts for clip in part.clips)
    layout = sheet_layout(parts, facts, beside, scale)
    canvas = layout.paper()
    for number, part in enumerate(parts):
        for index, clip in enumerate(part.clips):
            for column, frame in enumerate(clip.video):
                corner = layout.cell(number, index * beside + column)
                paint(canvas, frame, corner, scale)
    return canvas


def sheet_film(
    parts: Sequence[Part], facts: Sequence[str], scale: int
) -> Iterator[Canvas]:
    """The frames of a film in which every clip plays; shorter ones begin again."""
    layout = sheet_layout(parts, facts, 1, scale)
    paper = layout.paper()
    for time in range(max(len(clip.video) for part in parts for clip in part.clips)):
        canvas = paper.copy()
        for number, part in enumerate(parts):
            for index, clip in enumerate(part.clips):
                frame = clip.video[time % len(clip.video)]
                paint(canvas, frame, layout.cell(number, index), scale)
        yield canvas


def _block(part: Part, beside: int, across: int, noted: bool, sizes: Sizes) -> Block:
    """A title above a grid of clips, `across` in a line, each with its words below."""
    height, width = sizes.frame
    near = max(2, sizes.gap // 3)  # the frames of one clip belong together
    strip = beside * (width + near) - near
    clip_width = max(strip, LETTERS * sizes.font)
    clip_height = height + near + (1 + noted) * sizes.line
    pitch = clip_height + sizes.margin // 2, clip_width + sizes.margin
    first = (sizes.line + sizes.gap, 0)
    corners = grid(len(part.clips), across, pitch, first)
    behind = sizes.width(part.title) + sizes.font
    head = (
        Text(part.title, (0, 0)),
        Text(part.about, (0, behind), QUIET),
    )
    words = tuple(
        text
        for clip, (top, left) in zip(part.clips, corners, strict=True)
        for text in _words(clip, top + height + near, left, clip_width, sizes)
    )
    right = min(across, len(part.clips)) * pitch[1] - sizes.margin
    cells = tuple(
        (top, left + column * (width + near))
        for top, left in corners
        for column in range(beside)
    )
    extent = corners[-1][0] + clip_height, max(right, behind + sizes.width(part.about))
    return Block(extent, cells, (*head, *words))


def _words(
    clip: Clip, top: int, left: int, width: int, sizes: Sizes
) -> tuple[Text, ...]:
    """The label below a clip with its length, and the small print below that."""
    length = fit(clip.length, width, sizes.font)
    taken = sizes.width(length)
    room = width - taken - sizes.font if length else width
    return (
        Text(length, (top, left + width - taken), QUIET),
        Text(clip.label, (top, left), room=room),
        Text(clip.note, (top + sizes.line, left), QUIET, width),
    )
