"""render: samples become pictures: a strip, a GIF, an MP4, a page, and their record.

strip.png      frames of each clip, ground truth above samples (Figs. 3 to 8, 13)
diversity.png  instead: many samples of each clip, frame by frame (Figs. 7 to 12)
samples.gif    the same videos, playing side by side
samples.mp4
report.html    a page that plays them, with everything known of their runs
figures.json   their inputs, by which `render` knows those that are up to date

With `each`, a file for every clip (strip-1.png) or video (samples-1-sample-2.gif).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from svtcli.failure import BadData, Refused
from svtcli.recipe.schema import Format, Recipe, Render
from svtcli.render.curves import evaluation_files
from svtcli.render.film import film
from svtcli.render.groups import (
    Group,
    Row,
    caption,
    file_name,
    groups_of,
    runs_of,
    side_by_side,
)
from svtcli.render.pictures import (
    Picture,
    note_slow_gif,
    write_film,
    write_pictures,
)
from svtcli.render.stills import default_times, diversity, strip
from svtcli.run.durable import fingerprint, fingerprint_file, writing
from svtcli.run.progress import Progress, counted
from svtcli.run.samples import Samples, read_samples
from svtcli.sample.actions import action_sets
from svtcli.video.encode import ffmpeg_file, write_png
from svtcli.video.image import enlarge_smoothly

DIVERSITY = "draw each model's alone, or leave out --diversity (render.diversity)"
EACH = "one file for each clip: --each clip (render.each)"
MOST_STILL, MOST_MOVING = 2**29, 2**27
"""Pixels of the frames in a picture, and in a frame of a film: 1.6 and 0.4 GB."""
IGNORED: dict[Format, tuple[str, ...]] = {
    "png": ("fps",),
    "gif": ("every", "frames", "diversity"),
    "mp4": ("every", "frames", "diversity"),
    "html": ("diversity",),
}
"""Settings that a format does not depend on."""
LARGE = 2e7
"""Bytes of a page that a browser is slow to open."""


@dataclass(frozen=True)
class Drawing:
    """One picture, not drawn yet."""

    name: str
    """Name of its file."""
    format: Format
    groups: tuple[Group, ...]
    facts: tuple[str, ...]
    """Contents of its caption."""
    times: tuple[int, ...]
    """Frames shown by a still picture, and by the strips of a page."""


def render(
    samples_folder: Path,
    out: Path,
    settings: Render,
    progress: Progress,
    force: bool = False,
    beside: tuple[Path, ...] = (),
    dry_run: bool = False,
) -> list[Path]:
    """Draw the samples into `out`; return the paths, in the order of the formats.

    Samples of the folders `beside` stand under them, clip by clip (Fig. 4). Pictures
    that are up to date are not drawn again; the others appear when all are drawn. With
    `dry_run` nothing is written, and the paths are those that would be. Errors: Refused
    where there are no finished samples, no such frames or, without `force`, a file that
    svt did not draw; BadData.
    """
    folders = (samples_folder, *beside)
    read = [_drawable(read_samples(folder), folder) for folder in folders]
    drawings = plan_drawings(side_by_side(folders, read), settings)
    if "html" in settings.formats:
        from svtcli.render.page import report_of_runs  # jinja2 takes its time

        report_of_runs(folders)  # a broken file is found before anything is drawn
    drawn = {
        drawing.name: Picture(
            partial(draw, drawing, settings=settings, folders=folders),
            _inputs(drawing, settings, folders),
        )
        for drawing in drawings
    }
    origin = {"samples": ", ".join(map(str, folders)), "settings": asdict(settings)}
    paths = write_pictures(drawn, out, origin, progress, force, dry_run)
    if dry_run:
        return paths
    note_slow_gif(paths, settings.fps, progress)
    for path in paths:
        if path.suffix == ".html" and (size := path.stat().st_size) > LARGE:
            few = "show fewer videos with --rows or --per-prime"
            progress.note(f"{path.name} has {size / 1e6:.0f} MB; {few}")
    return paths


def _inputs(drawing: Drawing, settings: Render, folders: tuple[Path, ...]) -> str:
    """Fingerprint of everything that a picture depends on.

    `samples.json` has the checksums of the arrays.
    """
    concerned = {
        name: value
        for name, value in asdict(settings).items()
        if name not in ("formats", *IGNORED[drawing.format])
    }
    files = [folder / "samples.json" for folder in folders]
    files += report_inputs(folders) if drawing.format == "html" else ()
    names = [folder.resolve().name for folder in folders]
    return fingerprint(drawing.name, concerned, names, *map(fingerprint_file, files))


def report_inputs(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Files of runs that a page shows beside the samples, in a lasting order."""
    return tuple(
        file
        for run in runs_of(folders)
        for file in (run.recipe_file, run.run_file, run.metrics, *evaluation_files(run))
        if file.is_file()
    )


def _drawable(samples: Samples, folder: Path) -> Samples:
    """`samples`. Errors: BadData if no picture can show them."""
    N, M, F, H, W, C = samples.video.shape
    if 0 in (N, M, F, H, W):
        raise BadData(f"{folder}: these samples hold no video ({samples.video.shape})")
    if C not in (1, 3):
        raise BadData(f"{folder}: {C} image channels; 1 (gray) or 3 (RGB) can be drawn")
    if len(samples.facts.clips) != N:
        named = len(samples.facts.clips)
        raise BadData(
            f"{folder}: samples.json names {counted(named, 'clip')}, the arrays "
            f"hold {N}"
        )
    return samples


def check(recipe: Recipe) -> None:
    """Refuse pictures that no samples of the recipe can give. Errors: Refused."""
    settings, sample = recipe.render, recipe.sample
    lengths = recipe.resolved(sample)
    _, H, W = recipe.model.video
    sets = max(1, len(action_sets(recipe, sample)))
    shape = (sample.count, sets * sample.per_prime, lengths.frames, H, W)
    check_pictures(settings, shape, lengths.prime, sets=sets)
    if settings.actions and not recipe.model.actions:
        raise Refused(
            "render.actions: this model takes no actions", "leave render.actions out"
        )
    if not {"gif", "mp4"}.isdisjoint(settings.formats):
        ffmpeg_file()


def check_pictures(
    settings: Render,
    shape: tuple[int, ...],
    prime: int,
    models: int = 1,
    sets: int = 1,
) -> tuple[int, ...]:
    """Frames of a still picture of samples `shape`, N M F H W, under `sets` of actions.

    Errors: Refused for frames that the videos do not have, pictures that are too large
    to be drawn, and for a diversity sheet of several models or sets, or with arrows.
    """
    if settings.diversity and models > 1:
        raise Refused("a diversity sheet shows the samples of one model", DIVERSITY)
    if settings.diversity and (sets > 1 or settings.actions):
        what = "a diversity sheet shows samples under one set of actions, and no arrows"
        raise Refused(what, "leave out --diversity (render.diversity)")
    if settings.diversity and settings.each == "video":
        raise Refused("a diversity sheet shows the samples of a clip together", EACH)
    N, M, F, H, W = shape
    times = shown_times(settings, prime, F)
    videos = 1 + models * sets * min(M // sets, settings.per_prime or M)
    videos = {None: videos * min(N, settings.rows), "clip": videos}.get(
        settings.each, 1
    )
    pixels = videos * H * W * settings.scale**2
    for form, count, most in (
        ("png", pixels * len(times), MOST_STILL),
        ("gif", pixels, MOST_MOVING),
        ("mp4", pixels, MOST_MOVING),
    ):
        if form in settings.formats and count > most:
            raise Refused(
                f"{form}: {count:.3g} pixels in a picture; at most {most:.3g} can be "
                "drawn",
                "set render.rows, render.per_prime or render.scale lower, or "
                "render.every higher",
            )
    return times


def plan_drawings(models: dict[str, Samples], settings: Render) -> tuple[Drawing, ...]:
    """The pictures of one model's samples, or of several side by side.

    Errors: Refused, as `check_pictures`.
    """
    first = next(iter(models.values()))
    shape = first.video.shape[:5]
    sets = max(1, *(len(each.facts.action_sets) for each in models.values()))
    times = check_pictures(settings, shape, first.facts.prime, len(models), sets)
    if settings.actions and (without := _without_actions(models)):
        raise Refused(
            f"--actions: no actions are stored with the samples of {without}",
            "sample again, with a model that takes actions",
        )
    groups = groups_of(models, settings.rows, settings.per_prime, settings.actions)
    facts = caption(models, settings.actions)
    in_rows = replace(settings, diversity=False)
    strips = shown_times(in_rows, first.facts.prime, shape[2])
    return tuple(
        Drawing(
            f"{_stem(kind, settings)}{part}.{kind}",
            *(kind, some, facts, times if kind == "png" else strips),
        )
        for kind in dict.fromkeys(settings.formats)
        if kind != "curves"  # of a run, not of samples: curves.py
        for part, some in _parts(groups, settings).items()
    )


def _without_actions(models: dict[str, Samples]) -> str | None:
    """Name of a model whose samples hold no actions; None if all do."""
    return next((name for name, each in models.items() if each.actions is None), None)


def shown_times(settings: Render, prime: int, frames: int) -> tuple[int, ...]:
    """The frames of a still picture. Errors: Refused for one that is not there."""
    if settings.frames is None:
        if settings.diversity:
            return default_times(prime, frames)
        return tuple(range(0, frames, settings.every))
    if not settings.frames:
        raise Refused("no frames to show: render.frames is empty")
    if (most := max(settings.frames)) >= frames:
        raise Refused(f"frame {most}: these videos have frames 0 to {frames - 1}")
    return tuple(sorted(set(settings.frames)))


def draw(
    drawing: Drawing, path: Path, settings: Render, folders: Sequence[Path] = ()
) -> None:
    """Draw and write one picture; a page also describes the runs of the `folders`.

    Errors: BadData for a file of a run.
    """
    groups, scale = drawing.groups, settings.scale
    facts, times = drawing.facts, drawing.times
    if drawing.format == "html":
        from svtcli.render.page import page_html, report  # jinja2 takes its time

        text = page_html(report(folders, groups, facts, times, settings))
        with writing(path):
            # Names of files may hold bytes that are no text.
            path.write_bytes(text.encode("utf-8", "replace"))
        return
    if settings.smooth:
        # Then one screen pixel per pixel: all sizes are those of the enlarged frame.
        groups, scale = _enlarged(groups, scale), 1
    if drawing.format == "png":
        still = diversity if settings.diversity else strip
        write_png(path, still(groups, facts, times, scale))
    else:
        write_film(path, film(groups, facts, scale), settings.fps)


def _stem(kind: Format, settings: Render) -> str:
    if kind == "png":
        return "diversity" if settings.diversity else "strip"
    return "report" if kind == "html" else "samples"


def _parts(groups: Sequence[Group], settings: Render) -> dict[str, tuple[Group, ...]]:
    """Contents of each file, by the end of its name: all, or a clip, or a video."""
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
    """The groups with larger videos."""

    def rows(group: Group) -> tuple[Row, ...]:
        return tuple(
            replace(row, video=enlarge_smoothly(row.video, scale)) for row in group.rows
        )

    return tuple(replace(group, rows=rows(group)) for group in groups)
