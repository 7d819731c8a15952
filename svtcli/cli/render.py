"""`svt render`: pictures of samples, and of prepared clips."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svtcli.cli import completion, console
from svtcli.cli.flags import WHERE, DryRun, clips_and_split, flag, takes
from svtcli.clips import is_clips
from svtcli.failure import Refused
from svtcli.recipe.schema import Render
from svtcli.recipe.setting import CLIPS, settings_of
from svtcli.run.names import run_argument, shortened, typed
from svtcli.run.progress import Progress, Silent

if TYPE_CHECKING:
    from svtcli.run.directory import RunFolder


@takes(
    settings_of(Render),
    {
        "What to draw (defaults: the recipe's)": CLIPS,
        "How to draw (defaults: the recipe's)": None,
    },
)
def render(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SAMPLES|RUN|CLIPS[:SPLIT]",
            help="A samples folder, or a run's name or folder (its newest samples); "
            "several are drawn side by side. Or prepared clips: a folder, or a name in "
            "clips/. "
            "Default: the newest samples of all runs.",
            show_default=False,
            autocompletion=completion.drawable,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Random seed of the choice of clips (default: 0).",
            rich_help_panel="For CLIPS only",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the pictures (default: RUN/figures/SAMPLES, "
            "SAMPLES/figures or CLIPS/figures/SPLIT).",
            rich_help_panel=WHERE,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Draw all again, also over files that svt did not draw."
        ),
    ] = False,
    dry_run: DryRun = False,
    **given: Any,
) -> None:
    """Draw samples as strips, GIF, MP4 or a page; clips as a sheet.

    Several runs are drawn side by side: each clip with its ground truth and a row for
    each run, and all curves in one picture.

    A sheet of CLIPS only takes --format, --every, --rows (clips of each split), --scale
    and --fps; by default its frames are spread over each clip.

    For example: svt render quickstart --format gif --scale 4
    """
    first, *others = sources or (None,)
    clips_of = {each: found for each in sources or () if (found := _clips_of(each))}
    if clips_of and others:
        named = next(iter(clips_of))
        raise Refused(f"{named}: clips; only samples are drawn side by side")
    if first in clips_of:
        from svtcli.render.clips_sheet import SheetSettings, render_sheet

        of_samples = given.keys() - {field.name for field in fields(SheetSettings)}
        _refuse_flags(of_samples, f"of samples; {first} are clips")
        clips, split = clips_of[first]
        place, sheet = out or clips / "figures" / (split or ""), SheetSettings(**given)
        progress = console.progress()
        pictures = render_sheet(
            clips, place, split, sheet, seed or 0, progress, force, dry_run
        )
        _show({"clips": str(clips)}, pictures, dry_run)
        return
    if seed is not None:
        raise Refused("--seed: samples are not drawn by chance; clips are")
    if "every" in given and (other := {"frames", "diversity"} & given.keys()):
        raise Refused(
            f"--every and {flag(max(other))}: choose one", "--frames 0,5 names frames"
        )
    if given.get("formats") == ("curves",):
        _refuse_flags(given.keys() - {"formats"}, "of samples, not of curves")
        runs = [_run_to_plot(source) for source in (first, *others)]
        progress = console.progress()
        _show({}, _draw_curves(runs, out, progress, force, dry_run), dry_run)
        return
    from svtcli.render import stage
    from svtcli.run.directory import run_of_samples

    samples, *rest = [samples_folder(source) for source in (first, *others)]
    beside = tuple(rest)
    if "every" in given:
        given |= {"frames": None, "diversity": False}
    run = run_of_samples(samples)
    settings = replace(run.recipe().render if run else Render(), **given)
    place, runs = out or default_out(samples, beside), []
    if "curves" in settings.formats:
        runs = [_run_to_plot(str(folder)) for folder in (samples, *beside)]
    progress = console.progress()
    # Nothing is drawn before all of it can be.
    _draw_curves(runs, out, Silent(), force, dry_run=True)
    pictures = stage.render(samples, place, settings, progress, force, beside, dry_run)
    pictures += _draw_curves(runs, out, progress, force, dry_run)
    source: dict[str, Any] = {"samples": str(samples)}
    if beside:
        source["beside"] = [str(each) for each in beside]
    _show(source, pictures, dry_run)
    if run and not (dry_run or out or beside):
        from svtcli.project.showing import send_results

        send_results(run, progress)


def _refuse_flags(names: Collection[str], why: str) -> None:
    """Refuse the first of the settings, if any."""
    if names:
        raise Refused(f"{flag(min(names))}: {why}")


def _draw_curves(
    runs: "Sequence[RunFolder]",
    out: Path | None,
    progress: Progress,
    force: bool,
    dry_run: bool,
) -> list[Path]:
    """Draw curves of runs, by default among the figures of the first."""
    from svtcli.render import curves as stage
    from svtcli.render.groups import LONGEST_FILE

    if not runs:
        return []
    once = list({run.path.resolve(): run for run in runs}.values())
    first, *others = once
    names = "-".join(other.name for other in others)
    place = out or first.figures / (
        shortened(f"curves-beside-{names}", LONGEST_FILE) if others else ""
    )
    return stage.draw_curves(once, place, progress, force, dry_run)


def _show(source: dict[str, Any], pictures: list[Path], dry_run: bool) -> None:
    """Paths of the pictures; under --json with their source."""
    lines = (f"would write {path}" if dry_run else f"{path}" for path in pictures)
    data = {**source, "files": [str(path) for path in pictures]}
    console.show("\n".join(lines), {**data, "dry_run": dry_run})


def default_out(samples: Path, beside: Sequence[Path]) -> Path:
    """A folder in the run's figures; the pictures of several have the names of all."""
    from svtcli.run.directory import run_of_samples

    run, name = run_of_samples(samples), samples.resolve().name
    figures = run.figures if run else samples / "figures"
    if not beside:
        return figures / name if run else figures
    names = [
        f"{other.name + '-' if (other := run_of_samples(each)) else ''}"
        f"{each.resolve().name}"
        for each in beside
    ]
    from svtcli.render.groups import LONGEST_FILE

    beside_all = f"{name}-beside-{'-'.join(names)}"
    return figures / shortened(beside_all, LONGEST_FILE)


def _clips_of(source: str) -> tuple[Path, str | None] | None:
    """Clips and split named by the argument; None if it names no clips.

    Where a run and clips have one name, the name alone means the run.
    """
    from svtcli.run.directory import runs_root

    whole = Path(source)
    if not is_clips(whole) and ((runs_root() / source).is_dir() or whole.exists()):
        return None
    folder, split = clips_and_split(source)
    return (folder, split) if folder and is_clips(folder) else None


def samples_folder(source: str | None) -> Path:
    """Samples named by the argument; notes which where it had to choose."""
    from svtcli.run.directory import RunFolder, newest_samples, runs_root

    if source is None:
        newest = newest_samples()
        console.note(f"samples: {newest}")
        return newest
    for folder in (Path(source), runs_root() / source):
        if (folder / "samples.json").is_file():
            return folder
        if folder.is_dir():
            newest = _newest_of(RunFolder(folder))
            console.note(f"samples: {newest}")
            return newest
    if Path(source).exists():
        raise Refused(f"{source}: a file; name a folder of samples or a run")
    raise Refused(f"no run, samples or clips called {source!r}", _nearest(source))


def _newest_of(run: "RunFolder") -> Path:
    """The newest finished samples of a run; Refused, with the reason, if none are."""
    if newest := run.newest_samples():
        return newest
    if (run.path / "samples.npy").exists():
        raise Refused(
            f"{run.path}: sampling did not finish here (samples.json is missing)",
            "finish it with: svt sample RUN",
        )
    if run.recipe_file.is_file():
        raise Refused(
            f"{run.path}: no finished samples in this run yet",
            f"sample with: {typed('svt', 'sample', run_argument(run))}",
        )
    if (run.path / ".work").is_dir():
        raise Refused(
            f"{run.path}: its clips are not finished (manifest.json is missing)",
            "re-run the same svt prepare command to resume",
        )
    raise Refused(f"{run.path}: no samples, run or clips are in this folder")


def _nearest(wanted: str) -> str | None:
    """A hint at the run or clips with the most similar name."""
    from svtcli.run.directory import runs_root, way_to_run

    if way := way_to_run(wanted):
        return way
    runs = {file.parent.parent.name for file in runs_root().glob("*/samples/*")}
    clips = {file.parent.name for file in Path("clips").glob("*/manifest.json")}
    name = Path(wanted.partition(":")[0]).name
    near = get_close_matches(name, sorted(runs | clips), n=1)
    return f"did you mean {near[0]}?" if near else None


def _run_to_plot(source: str | None) -> "RunFolder":
    """The run named by the argument, or the run of the samples that it names."""
    from svtcli.run.directory import find_run, run_of_samples

    if source is None or (Path(source) / "samples.json").is_file():
        samples = samples_folder(source)
        if run := run_of_samples(samples):
            return run
        raise Refused(f"{samples}: these samples lie in no run; curves are of runs")
    return find_run(source)
