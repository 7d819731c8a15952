"""Which pictures are to be drawn of samples, and the drawing of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from svtcli.failure import Refused
from svtcli.recipe.schema import Format, Render
from svtcli.render.diversity import diversity, telling_times
from svtcli.render.film import film
from svtcli.render.groups import (
    Group,
    caption,
    compared_caption,
    compared_groups,
    sample_groups,
)
from svtcli.render.side_by_side import file_name
from svtcli.render.strip import strip
from svtcli.run.samples import Samples
from svtcli.video.encode import write_gif, write_mp4, write_png
from svtcli.video.enlarge import enlarge_smoothly

DIVERSITY = "draw each model's alone, or leave out --diversity (render.diversity)"

EACH = "one file for each clip: --each clip (render.each)"


@dataclass(frozen=True)
class Drawing:
    """One picture, not drawn yet."""

    name: str
    """Of its file."""
    format: Format
    groups: tuple[Group, ...]
    facts: tuple[str, ...]
    times: tuple[int, ...]
    """Frames that a still picture shows."""


def plan_drawings(models: dict[str, Samples], settings: Render) -> tuple[Drawing, ...]:
    """The pictures of one model's samples, or of several side by side.

    Errors: Refused for frames that the videos do not have, and for a diversity sheet of
    several models.
    """
    if settings.diversity and len(models) > 1:
        raise Refused("a diversity sheet shows the samples of one model", DIVERSITY)
    if settings.diversity and settings.each == "video":
        raise Refused("a diversity sheet shows the samples of a clip together", EACH)
    first = next(iter(models.values()))
    frames = first.video.shape[2]
    times = shown_times(settings, first.facts.prime, frames)
    if len(models) == 1:
        groups = sample_groups(first, settings.rows, settings.per_prime)
        facts = caption(first.facts, frames)
    else:
        groups = compared_groups(models, settings.rows, settings.per_prime)
        facts = compared_caption(models)
    return tuple(
        Drawing(
            f"{_stem(format_, settings)}{part}.{format_}", format_, some, facts, times
        )
        for format_ in dict.fromkeys(settings.formats)
        if format_ != "curves"  # of a run, not of samples: render/run_charts.py
        for part, some in _parts(groups, settings).items()
    )


def shown_times(settings: Render, prime: int, frames: int) -> tuple[int, ...]:
    """The frames of a still picture. Errors: Refused for one that is not there."""
    if settings.frames is None:
        if settings.diversity:
            return telling_times(prime, frames)
        return tuple(range(0, frames, settings.every))
    if not settings.frames:
        raise Refused("no frames to show: render.frames is empty")
    if (most := max(settings.frames)) >= frames:
        raise Refused(f"frame {most}: these videos have frames 0 to {frames - 1}")
    return tuple(sorted(set(settings.frames)))


def draw(
    drawing: Drawing, path: Path, settings: Render, folders: Sequence[Path] = ()
) -> None:
    """Draw and write one picture; a page also says what is known of the `folders`.

    Those are of the samples. Errors: BadData for a file of a run.
    """
    groups, scale = drawing.groups, settings.scale
    if settings.smooth and drawing.format != "html":  # browsers enlarge by themselves
        # Then one screen pixel per pixel: all sizes are those of the enlarged frame.
        groups, scale = _enlarged(groups, scale), 1
    still = diversity if settings.diversity else strip
    match drawing.format:
        case "png":
            write_png(path, still(groups, drawing.facts, drawing.times, scale))
        case "gif":
            write_gif(path, film(groups, drawing.facts, scale), settings.fps)
        case "mp4":
            write_mp4(path, film(groups, drawing.facts, scale), settings.fps)
        case "html":
            # Only now, for it brings jax, and pictures need none.
            from svtcli.render.report import write_report

            facts, times = drawing.facts, drawing.times
            write_report(path, folders, groups, facts, times, settings)


def _stem(format_: Format, settings: Render) -> str:
    if format_ == "html":
        return "report"
    if format_ != "png":
        return "samples"
    return "diversity" if settings.diversity else "strip"


def _parts(groups: Sequence[Group], settings: Render) -> dict[str, tuple[Group, ...]]:
    """What each file shows, by the end of its name: all, or a clip, or a video."""
    if settings.each is None:
        return {"": tuple(groups)}
    digits = len(f"{len(groups)}")
    clips = {f"-{n:0{digits}}": group for n, group in enumerate(groups, start=1)}
    if settings.each == "clip":
        return {number: (group,) for number, group in clips.items()}
    return {
        f"{number}-{file_name(row.label)}": (replace(group, rows=(row,)),)
        for number, group in clips.items()
        for row in group.rows
    }


def _enlarged(groups: Sequence[Group], scale: int) -> tuple[Group, ...]:
    return tuple(
        replace(
            group,
            rows=tuple(
                replace(row, video=enlarge_smoothly(row.video, scale))
                for row in group.rows
            ),
        )
        for group in groups
    )
