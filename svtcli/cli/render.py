"""`svt render`: pictures of samples, and of prepared clips."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svtcli.cli import console
from svtcli.cli.arguments import said
from svtcli.cli.render_sources import clips_of, run_to_plot, samples_folder
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.recipe.schema import Format, Render
    from svtcli.run.directory import RunFolder


class Picture(StrEnum):
    """What can be made; a test holds it equal to the recipe's formats."""

    png = "png"
    gif = "gif"
    mp4 = "mp4"
    html = "html"
    curves = "curves"


class Each(StrEnum):
    """What gets a file of its own; a test holds it equal to the recipe's."""

    clip = "clip"
    video = "video"


def render(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SAMPLES|RUN|CLIPS[:SPLIT]]...",
            help="A samples folder, a run folder or a run's name (its newest samples); "
            "several are drawn side by side; or prepared clips, a folder or a name in "
            "clips/. Default: the newest samples of all runs.",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        list[Picture] | None,
        typer.Option(
            "--format",
            help="What to make; may be repeated. html: a page that plays the samples, "
            "with all numbers. curves: training, and unrolled FVD.",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1, help="Show every k-th frame. Default for clips: spread over each."
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(help="Show these frames in a strip, for example 0,5,10,15."),
    ] = None,
    per_prime: Annotated[
        int | None,
        typer.Option(
            min=1, help="Samples shown of each clip. Default: all; of several runs, 1."
        ),
    ] = None,
    diversity: Annotated[
        bool | None,
        typer.Option(
            "--diversity",
            help="PNG: all samples of a clip in a grid, for each frame shown.",
        ),
    ] = None,
    each: Annotated[
        Each | None,
        typer.Option(help="One file for each clip, or for each video of it."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="How many clips are shown; of CLIPS, in each split."),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Screen pixels per video pixel.")
    ] = None,
    smooth: Annotated[
        bool | None,
        typer.Option("--smooth", help="Enlarge smoothly; else pixels stay pixels."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second of GIF and MP4.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the pictures. Default: RUN/figures/NAME of a run's "
            "samples, else SAMPLES/figures or CLIPS/figures[/SPLIT].",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Which clips of CLIPS are shown. Default: 0.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace pictures that are there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be drawn.")
    ] = False,
) -> None:
    """Draw samples: a film strip (PNG), a GIF, an MP4, a page. Of clips: a sheet.

    For samples, what no flag says, the recipe of the run says (its section `render`).
    Of several runs each clip is shown with its truth and a row for each run, and curves
    stand in one picture.
    """
    if fps is not None and not 0.01 <= fps <= 1000:
        raise Refused(f"--fps {fps:g}: must lie between 0.01 and 1000")
    stated = said(rows=rows, every=every, scale=scale, fps=fps)
    of_samples = said(
        frames=_frame_numbers(frames),
        per_prime=per_prime,
        diversity=diversity,
        each=each.value if each else None,
        smooth=smooth,
    )
    first, *others = sources or (None,)
    if first is not None and (found := clips_of(first)):
        _only_clips(first, others, of_samples)
        _draw_sheet(*found, out, formats, stated, seed or 0, force, dry_run)
        return
    if seed is not None:
        raise Refused("--seed: samples are not drawn by chance; clips are")
    if every is not None and (frames is not None or diversity):
        other = "--frames" if frames is not None else "--diversity"
        raise Refused(f"--every and {other}: choose one", "--frames 0,5 names frames")
    for other in filter(clips_of, others):
        _only_clips(other, [other], {})
    if set(formats or ()) == {Picture.curves}:
        _refuse_flags({**stated, **of_samples}, "of samples, not of curves")
        runs = [run_to_plot(source) for source in (first, *others)]
        _show({}, _draw_curves(runs, out, force, dry_run), dry_run)
        return
    samples, *beside = [samples_folder(source) for source in (first, *others)]
    if every is not None:
        of_samples |= {"frames": None, "diversity": False}
    settings = replace(_recipe_settings(samples), **stated, **of_samples)
    settings = replace(settings, formats=_formats(formats) or settings.formats)
    _draw_samples(samples, tuple(beside), out, settings, force, dry_run)


def _frame_numbers(text: str | None) -> tuple[int, ...] | None:
    """Frames as they are typed: 0,5,10."""
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise Refused(f"--frames {text}: name frames by number, as in 0,5,10,15")
    return tuple(int(word) for word in words)


def _only_clips(clips: str, others: list[str], of_samples: dict[str, Any]) -> None:
    """Refuse other sources and flags that only samples have."""
    if others:
        raise Refused(f"{clips}: clips; only samples are drawn side by side")
    _refuse_flags(of_samples, f"of samples; {clips} are clips")


def _refuse_flags(stated: dict[str, Any], why: str) -> None:
    """Refuse the first of the flags, if any."""
    for name in stated:
        raise Refused(f"--{name.replace('_', '-')}: {why}")


def _draw_sheet(
    clips: Path,
    split: str | None,
    out: Path | None,
    formats: list[Picture] | None,
    stated: dict[str, Any],
    seed: int,
    force: bool,
    dry_run: bool,
) -> None:
    """Draw the contact sheet of clips; its paths go to stdout."""
    from svtcli.render import clips_sheet as stage

    default = stage.SheetSettings()
    settings = replace(default, formats=_formats(formats) or default.formats, **stated)
    place = out or clips / "figures" / (split or "")
    pictures = stage.render_sheet(
        clips, place, split, settings, seed, console.progress(), force, dry_run
    )
    _show({"clips": str(clips)}, pictures, dry_run)


def _draw_samples(
    samples: Path,
    beside: tuple[Path, ...],
    out: Path | None,
    settings: "Render",
    force: bool,
    dry_run: bool,
) -> None:
    """Draw, or with `dry_run` only check that it could be; the paths go to stdout."""
    from svtcli.render import stage

    place = out or _default_out(samples, beside)
    runs = []
    if "curves" in settings.formats:
        runs = [run_to_plot(str(folder)) for folder in (samples, *beside)]
    progress = console.progress()
    # Nothing is drawn before all of it can be.
    for only_check in (True,) if dry_run else (True, False):
        pictures = stage.render(
            samples, place, settings, progress, force, beside, only_check
        )
        pictures += _draw_curves(runs, out, force, only_check)
    others: dict[str, Any] = {"beside": [str(other) for other in beside]}
    _show({"samples": str(samples), **(others if beside else {})}, pictures, dry_run)


def _draw_curves(
    runs: "Sequence[RunFolder]", out: Path | None, force: bool, dry_run: bool
) -> list[Path]:
    """Draw curves of runs, by default among the figures of the first."""
    from svtcli.render import curves as stage

    if not runs:
        return []
    once = list({run.path.resolve(): run for run in runs}.values())
    first, *others = once
    names = "-".join(other.name for other in others)
    place = out or first.figures / (f"curves-beside-{names}" if others else "")
    return stage.draw_curves(once, place, console.progress(), force, dry_run)


def _show(source: dict[str, Any], pictures: list[Path], dry_run: bool) -> None:
    """Paths of the pictures; under --json with their source."""
    lines = (f"would write {path}" if dry_run else f"{path}" for path in pictures)
    data = {**source, "files": [str(path) for path in pictures]}
    console.show("\n".join(lines), {**data, "dry_run": dry_run})


def _formats(pictures: list[Picture] | None) -> "tuple[Format, ...]":
    return tuple(picture.value for picture in pictures or ())


def _recipe_settings(samples: Path) -> "Render":
    """Section `render` of the run's recipe; else the schema's defaults."""
    from svtcli.recipe.schema import Render
    from svtcli.run.directory import run_of_samples

    run = run_of_samples(samples)
    return run.recipe().render if run else Render()


def _default_out(samples: Path, beside: Sequence[Path]) -> Path:
    """A folder in the run's figures; the pictures of several have the names of all."""
    from svtcli.run.directory import run_of_samples

    own, *others = [(run_of_samples(each), each) for each in (samples, *beside)]
    run, name = own[0], samples.resolve().name
    if not beside:
        return run.figures / name if run else samples / "figures"
    names = [
        f"{run.name + '-' if run else ''}{each.resolve().name}" for run, each in others
    ]
    figures = run.figures if run else samples / "figures"
    return figures / f"{name}-beside-{'-'.join(names)}"
