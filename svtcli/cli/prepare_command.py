"""What all `svt prepare` commands share: their flags, and the work."""

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from svtcli.cli import console
from svtcli.cli.console import about
from svtcli.failure import Refused
from svtcli.run.device_memory import size

if TYPE_CHECKING:
    from svtcli.prepare.build import PrepareOptions
    from svtcli.prepare.find_clips import Prepared
    from svtcli.prepare.stage import Preview
    from svtcli.recipe.data import Data

Settings = dict[str, Any]
"""The recipe's `data` section."""


class Engine(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


def _how(
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the clips go. Default: clips/NAME."),
    ] = None,
    download: Annotated[
        bool,
        typer.Option(
            "--download", help="First fetch what the publisher offers and is not there."
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes; no influence on the clips. Default: CPUs."
        ),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="This machine, or a Ray cluster (extra ray).")
    ] = Engine.local,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT|auto",
            help="Of the Ray cluster. Default: Ray is started on this machine.",
        ),
    ] = None,
    task_index: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="I",
            help="Make the shards of task I (from 0) of a job array; the last task to "
            "end publishes all, as with --task-index $SLURM_ARRAY_TASK_ID.",
        ),
    ] = None,
    task_count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tasks of the job array.")
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="In finished clips, redo only what is broken."
        ),
    ] = False,
    max_failures: Annotated[
        str,
        typer.Option(
            metavar="SHARE", help="Give up when more is broken: 5% or 0.05, 100% never."
        ),
    ] = "5%",
    time_limit: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For one file.")
    ] = 600.0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace clips made otherwise.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "-n", "--dry-run", help="Say how many clips, bytes and hours; make nothing."
        ),
    ] = False,
) -> None:
    """The flags that every command gets behind its own."""


def prepares(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The command for a kind of dataset, of a function that only declares its flags.

    A flag that is None leaves the recipe's default.
    """

    def command_of(flags: Callable[..., None]) -> Callable[..., None]:
        own, shared = signature(flags).parameters, signature(_how).parameters

        def command(**given: Any) -> None:
            said = {name: given.pop(name) for name in own}
            _run({"kind": kind} | _settings(said), **given)

        hints = get_type_hints(flags, include_extras=True) | get_type_hints(
            _how, include_extras=True
        )
        parameters = [
            p.replace(kind=Parameter.KEYWORD_ONLY)
            for p in (*own.values(), *shared.values())
        ]
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: hints[p.name] for p in parameters}
        command.__doc__, command.__name__ = flags.__doc__, flags.__name__
        return command

    return command_of


def _settings(said: dict[str, Any]) -> Settings:
    """The flags that were given, as a recipe would write them."""
    given = {name: value for name, value in said.items() if value not in (None, [])}
    frames = given.get("frames")
    if isinstance(frames, str) and frames.isdecimal():
        given["frames"] = int(frames)
    return given


def _run(
    settings: Settings,
    out: Path | None,
    download: bool,
    workers: int | None,
    engine: Engine,
    address: str | None,
    task_index: int | None,
    task_count: int | None,
    retry_failed: bool,
    max_failures: str,
    time_limit: float,
    force: bool,
    dry_run: bool,
) -> None:
    from svtcli.prepare.build import PrepareOptions
    from svtcli.prepare.stage import preview
    from svtcli.recipe.data import clips_folder
    from svtcli.run.job_array import ArrayTask

    task = ArrayTask.from_flags(task_index, task_count)
    options = PrepareOptions(
        workers, engine.value, address, task, time_limit, _share(max_failures)
    )
    _check(options, retry_failed, force)
    data = _validated(settings)
    folder = out or clips_folder(data, _name(data))
    if download and not dry_run:
        _download(data)
    if dry_run:
        would = preview(data, folder, options)
        console.show(_in_words(would), {**asdict(would), "dry_run": True})
        return
    done = _prepare(data, folder, options, retry_failed, force)
    console.show(str(folder), {**done, "dry_run": False})


def _prepare(
    data: "Data",
    folder: Path,
    options: "PrepareOptions",
    retry_failed: bool,
    force: bool,
) -> dict[str, Any]:
    """Facts about the clips, or about the tasks that are not done."""
    from svtcli.prepare import stage as stage
    from svtcli.run.partial import Unfinished

    if retry_failed:
        done = stage.retry(data, folder, console.progress(), options)
    elif options.task is None:
        done = stage.prepare(data, folder, console.progress(), options, force)
    else:
        ended = stage.prepare_task(data, folder, console.progress(), options)
        if isinstance(ended, Unfinished):
            console.note(f"{ended.done} of {ended.of} shards are finished so far")
            return {"folder": folder, "shards": ended.done, "of": ended.of}
        done = ended
    _report(done)
    return asdict(done)


def _check(options: "PrepareOptions", retry: bool, force: bool) -> None:
    """Errors: `Refused` for flags that do not go together."""
    if options.task is not None:
        clashes = {
            "--engine ray": options.engine == "ray",
            "--retry-failed": retry,
            "--force": force,
        }
        for flag, given in clashes.items():
            if given:
                raise Refused(f"{flag} cannot be combined with --task-index")
    if options.address is not None and options.engine != "ray":
        raise Refused("--address: goes with --engine ray")
    if retry and force:
        raise Refused("--retry-failed keeps what is whole, --force replaces it: choose")


def _download(data: "Data") -> None:
    """Fetch the raw data of `data` to where its source is looked for."""
    from svtcli.prepare.download.download import download
    from svtcli.prepare.sources.source_folder import download_folder
    from svtcli.recipe.data import label_pattern

    labels = None
    if data.kind == "kinetics":
        labels = label_pattern(data.subset, data.match)
    splits = None if data.kind == "moving-mnist" else data.splits
    folder = download_folder(data.source, data.kind)
    download(data.kind, folder, console.progress(), splits, labels)


def _name(data: "Data") -> str:
    """Of the dataset: the last part of a folder's source, else its kind."""
    if data.kind != "folder" or data.source is None:
        return data.kind
    return Path(data.source.removeprefix("package:")).resolve().name


def _report(done: "Prepared") -> None:
    """What a person should know, on stderr; stdout has the folder alone."""
    for split, clips in done.clips.items():
        bound = done.lower_bound.get(split)
        tail = f", lower bound {bound:.2f} nats/frame" if bound is not None else ""
        console.note(f"{split}: {clips} clips, {done.frames[split]} frames{tail}")
    if done.failures:
        reasons = ", ".join(f"{n} {reason}" for reason, n in done.failures.items())
        console.note(f"gave no clips: {reasons} (failures.jsonl)")


def _in_words(would: "Preview") -> str:
    """The answer of -n."""
    videos = f"{would.sources} videos -> " if would.sources else ""
    state = "these clips are there already" if would.finished else "not made yet"
    time = ""
    if would.seconds is not None:
        pace = f"{would.workers} worker{'s' if would.workers > 1 else ''}"
        time = f", about {about(would.seconds)} with {pace}"
    notes = "".join(f"\n  {note}" for note in would.notes)
    return (
        f"{would.folder}: {videos}about {would.clips} clips, {size(would.bytes)}"
        f"{time}; {state}{notes}"
    )


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise Refused(f"--max-failures {text}: not a share, such as 5% or 0.05")
    return share


def _validated(settings: Settings) -> "Data":
    """The recipe's `data` section; all problems at once, named by their flags."""
    from pydantic import TypeAdapter, ValidationError

    from svtcli.recipe.data import Data
    from svtcli.recipe.setting import Misfit

    try:
        data: Data = TypeAdapter(Data).validate_python(settings)
    except ValidationError as error:
        wanted: dict[str, list[str]] = {}
        for problem in error.errors(include_url=False):
            if isinstance(misfit := problem.get("ctx", {}).get("error"), Misfit):
                wanted |= {key: [why] for key, why in misfit.problems.items()}
                continue
            said = problem["msg"].removeprefix("Input ").split(", unable")[0]
            wanted.setdefault(str(problem["loc"][1]), []).append(said)
        raise Refused(
            "; ".join(
                f"{_flag(key)} {_given(settings.get(key))}: {' or '.join(all_said)}"
                for key, all_said in wanted.items()
            )
        ) from error
    return data


def _flag(key: str) -> str:
    return "--split" if key == "splits" else f"--{key.replace('_', '-')}"


def _given(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
