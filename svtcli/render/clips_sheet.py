"""render, of clips: a contact sheet, for a look at the prepared clips.

sheet.png      random clips of each split, a few frames of each
sheet.gif      the same clips, playing
sheet.mp4
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.clips.format import MANIFEST, read_manifest
from svtcli.clips.reader import Clips, open_clips
from svtcli.failure import BadData, Refused
from svtcli.recipe.schema import Format
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
)
from svtcli.render.pictures import (
    Picture,
    note_slow_gif,
    write_film,
    write_pictures,
)
from svtcli.render.titles import titles
from svtcli.run.durable import fingerprint, fingerprint_file
from svtcli.run.progress import Progress, counted
from svtcli.video.encode import write_png

FORMATS: tuple[Format, ...] = ("png", "gif", "mp4")
SHOWN = 4
"""Frames of a clip on the still sheet."""
LONGEST = 150
"""Most frames of a film."""
HEIGHT = 128
"""Height of a frame in screen pixels, or nearly, where `scale` is left open."""
LETTERS = 9
"""Least width of a clip's label, in heights of a letter."""


@dataclass(frozen=True)
class SheetSettings:
    """Contents and size of a contact sheet."""

    formats: tuple[Format, ...] = ("png",)
    rows: int = 12
    """Clips of each split."""
    every: int | None = None
    """Show every k-th frame; None spreads those of the still sheet over the clip, and
    plays all."""
    scale: int | None = None
    """Screen pixels per video pixel; None makes frames about `HEIGHT` high."""
    fps: float = 8.0
    """Frames per second of GIF and MP4."""


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


def render_sheet(
    clips_folder: Path,
    out: Path,
    split: str | None,
    settings: SheetSettings,
    seed: int,
    progress: Progress,
    force: bool = False,
    dry_run: bool = False,
) -> list[Path]:
    """Draw random clips of a split, or of all, into `out`; return the paths.

    Errors: Refused where there are no clips, no such split, for a format of samples or
    runs or, without `force`, for a file that svt did not draw; BadData.
    """
    splits = _open(clips_folder, split)
    for kind in settings.formats:
        if kind not in FORMATS:
            raise Refused(f"{kind}: of runs; of clips there are {', '.join(FORMATS)}")
    draw = partial(_draw, splits, settings=settings, seed=seed)
    names = [clips.split for clips in splits]
    clips = fingerprint_file(clips_folder / MANIFEST)  # has the clips' checksums
    drawn = {}
    for kind in settings.formats:
        concerned = replace(
            settings, formats=(kind,), fps=settings.fps * (kind != "png")
        )
        drawn[f"sheet.{kind}"] = Picture(
            draw, fingerprint(clips, names, concerned, seed)
        )
    origin = {
        "clips": str(clips_folder),
        "splits": names,
        "settings": asdict(settings),
        "seed": seed,
    }
    paths = write_pictures(drawn, out, origin, progress, force, dry_run)
    if not dry_run:
        note_slow_gif(paths, settings.fps, progress)
    return paths


def _open(folder: Path, split: str | None) -> list[Clips]:
    """The splits to be shown."""
    names = read_manifest(folder).splits if split is None else (split,)
    splits = [open_clips(folder, name) for name in names]
    if not splits or not all(len(clips) for clips in splits):
        raise BadData(f"{folder}: holds no clips")
    if (C := splits[0].shape[2]) not in (1, 3):
        raise BadData(f"{folder}: {C} image channels; 1 (gray) or 3 (RGB) can be drawn")
    return splits


def choose_at_random(clips: Clips, count: int, seed: int) -> list[int]:
    """At most `count` clips, in their order; another split draws other numbers."""
    rng = np.random.default_rng([seed, *clips.split.encode()])
    drawn = rng.choice(len(clips), min(count, len(clips)), replace=False, shuffle=False)
    return sorted(drawn.tolist())


def still_times(length: int, every: int | None) -> list[int]:
    """Frames that represent a clip: first, last and between, or every k-th."""
    if every is not None:
        return list(range(0, length, every))[:SHOWN]
    return sorted(set(np.linspace(0, length - 1, SHOWN).astype(int).tolist()))


def _draw(
    splits: Sequence[Clips], path: Path, settings: SheetSettings, seed: int
) -> None:
    """Draw and write one picture."""
    scale = settings.scale or max(1, round(HEIGHT / splits[0].shape[0]))
    still = path.suffix == ".png"
    parts = [_part(clips, settings, seed, still) for clips in splits]
    facts = _caption(splits, settings, seed, still)
    if still:
        write_png(path, sheet(parts, facts, scale))
    else:
        write_film(path, sheet_film(parts, facts, scale), settings.fps)


def _part(clips: Clips, settings: SheetSettings, seed: int, still: bool) -> Part:
    """One split: its size, and random clips of it."""
    numbers = choose_at_random(clips, settings.rows, seed)
    uneven = int(clips.lengths.min()) != int(clips.lengths.max())
    frames = int(clips.lengths.sum())
    shown = titles([clips.facts[number].id for number in numbers])
    return Part(
        clips.split,
        f"{counted(len(clips), 'clip')}, {counted(frames, 'frame')}",
        tuple(
            _clip(clips, number, title, settings, still, uneven)
            for number, title in zip(numbers, shown, strict=True)
        ),
    )


def _clip(
    clips: Clips,
    number: int,
    title: str,
    settings: SheetSettings,
    still: bool,
    uneven: bool,
) -> Clip:
    """The frames and words of one clip."""
    facts, length = clips.facts[number], int(clips.lengths[number])
    label, note = (facts.label, title) if facts.label else (title, "")
    if not still:
        # No room for the length below a single frame, and no need: one sees it.
        every = settings.every or 1
        video = clips.read(number, 0, min(length, LONGEST * every))[::every]
        return Clip(label, "", note, video)
    times = still_times(length, settings.every)
    video = np.concatenate([clips.read(number, time, 1) for time in times])
    return Clip(label, counted(length, "frame") if uneven else "", note, video)


def _caption(
    splits: Sequence[Clips], settings: SheetSettings, seed: int, still: bool
) -> tuple[str, ...]:
    """Facts about the clips and their choice."""
    H, W, C = splits[0].shape
    few = min(int(clips.lengths.min()) for clips in splits)
    many = max(int(clips.lengths.max()) for clips in splits)
    return (
        splits[0].name,
        f"{W} by {H}, {'gray' if C == 1 else 'RGB'}",
        f"clips of {few if few == many else f'{few} to {many}'} frames",
        f"random choice, seed {seed}",
        *_frames_shown(settings.every, many, still),
    )


def _frames_shown(every: int | None, longest: int, still: bool) -> tuple[str, ...]:
    """Selection of frames in words, where it is not obvious."""
    if every is not None and every > 1:
        return (f"frames {every} apart",)
    if still:
        first = f"the first {SHOWN} frames of each clip"
        return ("frames spread over each clip" if every is None else first,)
    return (f"the first {LONGEST} frames",) if longest > LONGEST else ()


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
    frames = [
        [
            clip.video[n] if n < len(clip.video) else None
            for clip in part.clips
            for n in range(beside)
        ]
        for part in parts
    ]
    return sheet_layout(parts, facts, beside, scale).draw(frames, scale)


def sheet_film(
    parts: Sequence[Part], facts: Sequence[str], scale: int
) -> Iterator[Canvas]:
    """The frames of a film in which every clip plays; shorter ones begin again."""
    layout = sheet_layout(parts, facts, 1, scale)
    for time in range(max(len(clip.video) for part in parts for clip in part.clips)):
        frames = [
            [clip.video[time % len(clip.video)] for clip in part.clips]
            for part in parts
        ]
        yield layout.draw(frames, scale)


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
