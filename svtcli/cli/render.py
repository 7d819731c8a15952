"""`svt render`: pictures of samples, and of prepared clips."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svtcli.cli import console
from svtcli.cli.arguments import clips_and_split, said
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.recipe.schema import Format, Render
    from svtcli.run.directory import RunFolder


class Picture(StrEnum):
    """What can be made; a test holds it equal to the recipe's formats."""

    png = "png"
    gif = "gif"
    mp4 = "mp4"


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
        typer.Option("--format", help="What to make; may be repeated."),
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
    """Draw samples: a film strip (PNG), a GIF, an MP4. Of clips: a contact sheet.

    For samples, what no flag says, the recipe of the run says (its section `render`).
    Of several runs each clip is shown with its truth and a row for each run.
    """
    if fps is not None and not 0.01 <= fps <= 1000:
        raise Refused(f"--fps {fps:g}: must lie between 0.01 and 1000")
    stated = said(rows=rows, every=every, scale=scale, fps=fps)
    of_samples = said(
        frames=_numbers(frames),
        per_prime=per_prime,
        diversity=diversity,
        each=each.value if each else None,
        smooth=smooth,
    )
    first, *others = sources or (None,)
    if first is not None and (found := _clips(first)):
        _only_clips(first, others, of_samples)
        _draw_sheet(*found, out, formats, stated, seed or 0, force, dry_run)
        return
    if seed is not None:
        raise Refused("--seed: samples are not drawn by chance; clips are")
    if every is not None and (frames is not None or diversity):
        other = "--frames" if frames is not None else "--diversity"
        raise Refused(f"--every and {other}: choose one", "--frames 0,5 names frames")
    for other in filter(_clips, others):
        _only_clips(other, [other], {})
    samples, *beside = [_samples_folder(source) for source in (first, *others)]
    if every is not None:
        of_samples |= {"frames": None, "diversity": False}
    settings = replace(_recipe_settings(samples), **stated, **of_samples)
    settings = replace(settings, formats=_formats(formats) or settings.formats)
    place = out or _default_out(samples, beside)
    _render(samples, tuple(beside), place, settings, force, dry_run)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """Frames as they are typed: 0,5,10."""
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise Refused(f"--frames {text}: name frames by number, as in 0,5,10,15")
    return tuple(int(word) for word in words)


def _only_clips(clips: str, others: list[str], of_samples: dict[str, Any]) -> None:
    """Refuse what only samples have."""
    if others:
        raise Refused(f"{clips}: clips; only samples are drawn side by side")
    if of_samples:
        flag = next(iter(of_samples)).replace("_", "-")
        raise Refused(f"--{flag}: of samples; {clips} are clips")


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
    """The contact sheet of clips; its paths on stdout."""
    from svtcli.stages import sheet as stage

    default = stage.SheetSettings()
    settings = replace(default, formats=_formats(formats) or default.formats, **stated)
    place = out or clips / "figures" / (split or "")
    if dry_run:
        pictures = stage.planned_sheet(clips, place, split, settings, force)
    else:
        progress = console.progress()
        pictures = stage.render_sheet(
            clips, place, split, settings, seed, progress, force
        )
    _say({"clips": str(clips)}, pictures, dry_run)


def _render(
    samples: Path,
    beside: tuple[Path, ...],
    out: Path,
    settings: "Render",
    force: bool,
    dry_run: bool,
) -> None:
    """Draw, or with `dry_run` only check that it could be; the paths on stdout."""
    from svtcli.stages import render as stage

    if dry_run:
        pictures = stage.planned(samples, out, settings, force, beside)
    else:
        progress = console.progress()
        pictures = stage.render(samples, out, settings, progress, force, beside)
    others: dict[str, Any] = {"beside": [str(other) for other in beside]}
    _say({"samples": str(samples), **(others if beside else {})}, pictures, dry_run)


def _say(of_what: dict[str, Any], pictures: list[Path], dry_run: bool) -> None:
    lines = (f"would write {path}" if dry_run else f"{path}" for path in pictures)
    data = {**of_what, "files": [str(path) for path in pictures]}
    console.show("\n".join(lines), {**data, "dry_run": dry_run})


def _formats(pictures: list[Picture] | None) -> "tuple[Format, ...]":
    return tuple(picture.value for picture in pictures or ())


def _clips(source: str) -> tuple[Path, str | None] | None:
    """The clips and the split that the argument means; None if it means no clips.

    Where a run and clips have one name, the name alone means the run.
    """
    from svtcli.run.directory import runs_root

    whole = Path(source)
    if _is_clips(whole):
        return whole, None
    if (runs_root() / source).is_dir() or whole.exists():
        return None
    folder, split = clips_and_split(source)
    for clips in (folder, Path("clips") / folder) if folder else ():
        if _is_clips(clips):
            if clips != folder:
                console.note(f"clips: {clips}")
            return clips, split
    return None


def _is_clips(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def _samples_folder(source: str | None) -> Path:
    """The samples that the argument means; says which when it had to choose."""
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
    finished = list(run.samples.glob("*/samples.json"))
    if finished:
        return max(finished, key=lambda file: (file.stat().st_mtime_ns, file)).parent
    if (run.path / "samples.npy").exists():
        raise Refused(
            f"{run.path}: sampling did not finish here (samples.json is missing)",
            "finish it with: svt sample RUN",
        )
    if run.recipe_file.is_file():
        raise Refused(
            f"{run.path}: no finished samples in this run yet",
            f"make some with: svt sample {run.path}",
        )
    if (run.path / ".work").is_dir():
        raise Refused(
            f"{run.path}: its clips are not finished (manifest.json is missing)",
            "repeat the svt prepare command that began them: it goes on from there",
        )
    raise Refused(f"{run.path}: no samples, run or clips are in this folder")


def _nearest(wanted: str) -> str | None:
    from difflib import get_close_matches

    from svtcli.run.directory import runs_root

    runs = {file.parent.parent.name for file in runs_root().glob("*/samples/*")}
    clips = {file.parent.name for file in Path("clips").glob("*/manifest.json")}
    name = Path(wanted.partition(":")[0]).name
    near = get_close_matches(name, sorted(runs | clips), n=1)
    return f"did you mean {near[0]}?" if near else None


def _run_of(samples: Path) -> "RunFolder | None":
    """The run whose samples these are, if they lie in one."""
    from svtcli.run.directory import RunFolder

    whole = samples if samples.name not in ("", "..") else samples.resolve()
    run = RunFolder(whole.parent.parent)
    inside = whole.parent == run.samples and run.recipe_file.is_file()
    return run if inside else None


def _recipe_settings(samples: Path) -> "Render":
    """How the run's recipe wants its pictures; else the schema's defaults."""
    from svtcli.recipe.schema import Render

    run = _run_of(samples)
    return run.recipe().render if run else Render()


def _default_out(samples: Path, beside: Sequence[Path]) -> Path:
    """With the run; pictures of several are called by the names of all."""
    run = _run_of(samples)
    if not beside:
        return run.figures / samples.resolve().name if run else samples / "figures"
    names = [_run_and_samples(other) for other in beside]
    place = run.figures if run else samples / "figures"
    return place / f"{samples.resolve().name}-beside-{'-'.join(names)}"


def _run_and_samples(samples: Path) -> str:
    run = _run_of(samples)
    return "-".join([*([run.name] if run else []), samples.resolve().name])
