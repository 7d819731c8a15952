"""render, of clips: a contact sheet, so that a person sees what was prepared.

sheet.png      random clips of each split, a few frames of each
sheet.gif      the same clips, playing
sheet.mp4
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.clips.manifest import read_manifest
from svtcli.clips.reader import Clips, open_clips
from svtcli.failure import BadData, Refused
from svtcli.recipe.schema import Format
from svtcli.render.output_paths import drawing_aside, free_places
from svtcli.render.sheet import Cell, Part, sheet, sheet_film
from svtcli.run.progress import Progress
from svtcli.video.encode import FASTEST_GIF, write_gif, write_mp4, write_png

FILES: dict[Format, str] = {
    "png": "sheet.png",
    "gif": "sheet.gif",
    "mp4": "sheet.mp4",
}
SHOWN = 4
"""Frames of a clip on the still sheet."""
LONGEST = 150
"""Frames of a film."""
HEIGHT = 128
"""Screen pixels that a frame is high where `scale` is left open, or nearly."""


@dataclass(frozen=True)
class SheetSettings:
    """What a contact sheet shows."""

    formats: tuple[Format, ...] = ("png",)
    rows: int = 12
    """Clips of each split."""
    every: int | None = None
    """Show frames so far apart, from the first on; None spreads them over the clip, and
    plays every frame."""
    scale: int | None = None
    """Screen pixels per video pixel; None makes frames about `HEIGHT` high."""
    fps: float = 8.0
    """Speed of GIF and MP4."""


def render_sheet(
    clips_folder: Path,
    out: Path,
    split: str | None,
    settings: SheetSettings,
    seed: int,
    progress: Progress,
    force: bool = False,
) -> list[Path]:
    """Draw random clips of a split, or of all, into `out`; the pictures' paths.

    Nothing appears in `out` before everything is drawn. Errors: Refused where there are
    no clips, no such split or, without `force`, a picture stands already; BadData.
    """
    splits = _open(clips_folder, split)
    pictures = free_places(out, _names(settings), force)
    with drawing_aside(out) as aside:
        progress.begin("draw", len(pictures), "pictures")
        for done, format_ in enumerate(dict.fromkeys(settings.formats), start=1):
            _draw(splits, format_, aside / FILES[format_], settings, seed)
            progress.advance(done, {"file": FILES[format_]})
        progress.end()
        for picture in pictures:
            (aside / picture.name).replace(picture)
    if "gif" in settings.formats and settings.fps > FASTEST_GIF:
        progress.note(f"the GIF plays {FASTEST_GIF:g} frames/s, the fastest there is")
    return pictures


def planned_sheet(
    clips_folder: Path,
    out: Path,
    split: str | None,
    settings: SheetSettings,
    force: bool = False,
) -> list[Path]:
    """The pictures that `render_sheet` would write; refuses what it refuses."""
    _open(clips_folder, split)
    return free_places(out, _names(settings), force)


def _names(settings: SheetSettings) -> list[str]:
    """Of the pictures, one for each format. Errors: Refused for one of samples."""
    for format_ in settings.formats:
        if format_ not in FILES:
            raise Refused(f"{format_}: of runs; of clips there are {', '.join(FILES)}")
    return [FILES[format_] for format_ in dict.fromkeys(settings.formats)]


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
    """The frames that stand for a clip: first, last and between, or `every` so many."""
    if every is not None:
        return list(range(0, length, every))[:SHOWN]
    return sorted(set(np.linspace(0, length - 1, SHOWN).astype(int).tolist()))


def _draw(
    splits: Sequence[Clips],
    format_: Format,
    path: Path,
    settings: SheetSettings,
    seed: int,
) -> None:
    """Draw and write one picture."""
    scale = settings.scale or max(1, round(HEIGHT / splits[0].shape[0]))
    still = format_ == "png"
    parts = [_part(clips, settings, seed, still) for clips in splits]
    facts = _caption(splits, settings, seed, still)
    match format_:
        case "png":
            write_png(path, sheet(parts, facts, scale))
        case "gif":
            write_gif(path, sheet_film(parts, facts, scale), settings.fps)
        case "mp4":
            write_mp4(path, sheet_film(parts, facts, scale), settings.fps)


def _part(clips: Clips, settings: SheetSettings, seed: int, still: bool) -> Part:
    """One split: its size, and random clips of it."""
    numbers = choose_at_random(clips, settings.rows, seed)
    uneven = int(clips.lengths.min()) != int(clips.lengths.max())
    frames = int(clips.lengths.sum())
    return Part(
        clips.split,
        f"{_count(len(clips), 'clip')}, {_count(frames, 'frame')}",
        tuple(_cell(clips, number, settings, still, uneven) for number in numbers),
    )


def _cell(
    clips: Clips, number: int, settings: SheetSettings, still: bool, uneven: bool
) -> Cell:
    facts, length = clips.facts[number], int(clips.lengths[number])
    label, note = (facts.label, facts.id) if facts.label else (facts.id, "")
    if not still:
        # No room for the length below a single frame, and no need: one sees it.
        video = _film_frames(clips, number, length, settings.every or 1)
        return Cell(label, "", note, video)
    times = still_times(length, settings.every)
    video = np.concatenate([clips.read(number, time, 1) for time in times])
    return Cell(label, _count(length, "frame") if uneven else "", note, video)


def _film_frames(
    clips: Clips, number: int, length: int, every: int
) -> UInt8[np.ndarray, "F H W C"]:
    """Every `every`-th frame of a clip, as many as a film has."""
    return clips.read(number, 0, min(length, LONGEST * every))[::every]


def _caption(
    splits: Sequence[Clips], settings: SheetSettings, seed: int, still: bool
) -> tuple[str, ...]:
    """What is shown, fact by fact."""
    H, W, C = splits[0].shape
    few = min(int(clips.lengths.min()) for clips in splits)
    many = max(int(clips.lengths.max()) for clips in splits)
    return (
        splits[0].name,
        f"{W} by {H}, {'gray' if C == 1 else 'RGB'}",
        f"clips of {few if few == many else f'{few} to {many}'} frames",
        f"chosen by seed {seed}",
        *_times_in_words(settings.every, many, still),
    )


def _times_in_words(every: int | None, longest: int, still: bool) -> tuple[str, ...]:
    """Which frames are shown, where that is not plain."""
    if every is not None and every > 1:
        return (f"frames {every} apart",)
    if still:
        first = f"the first {SHOWN} frames of each clip"
        return ("frames spread over each clip" if every is None else first,)
    return (f"the first {LONGEST} frames",) if longest > LONGEST else ()


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
