"""`svt prepare`: one command for each kind of dataset, and `verify`."""

from dataclasses import asdict
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from svtcli.cli import completion, console
from svtcli.cli.command import Command
from svtcli.cli.flags import (
    Address,
    DryRun,
    Engine,
    TaskCount,
    TaskIndex,
    flag,
    takes,
)
from svtcli.clips import is_clips
from svtcli.failure import Refused
from svtcli.recipe.data import DATASETS
from svtcli.recipe.setting import PERCENT, Misfit, settings_of, without_sections
from svtcli.run.names import typed
from svtcli.run.progress import about, counted
from svtcli.train.memory import size

if TYPE_CHECKING:
    from svtcli.prepare.build import PrepareOptions
    from svtcli.prepare.stage import Preview
    from svtcli.recipe.data import Data

WORK = "Processing"

app = typer.Typer(help="Turn raw videos into clips; verify clips.")


def _add(dataset: Any) -> None:
    """Add the command that prepares one kind of dataset."""
    (kind,) = get_args(dataset.__annotations__["kind"])

    def prepare(
        out: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR", help="Folder of the clips (default: clips/NAME)."
            ),
        ] = None,
        download: Annotated[
            bool,
            typer.Option(
                "--download",
                help="Download missing raw data first, where it is offered.",
                hidden=not dataset.published,
            ),
        ] = False,
        workers: Annotated[
            int | None,
            typer.Option(
                min=1,
                metavar="N",
                help="Number of worker processes; the clips do not depend on it "
                "(default: number of CPUs).",
                rich_help_panel=WORK,
            ),
        ] = None,
        retry_failed: Annotated[
            bool,
            typer.Option(
                "--retry-failed",
                help="Process again only the videos of a finished dataset that "
                "could not be read.",
                rich_help_panel=WORK,
            ),
        ] = False,
        time_limit: Annotated[
            float,
            typer.Option(
                min=0.1,
                metavar="SECONDS",
                help="Time limit for one file.",
                rich_help_panel=WORK,
            ),
        ] = 600.0,
        engine: Engine = "local",
        address: Address = None,
        task_index: TaskIndex = None,
        task_count: TaskCount = None,
        force: Annotated[
            bool,
            typer.Option("--force", help="Replace clips that have other settings."),
        ] = False,
        dry_run: DryRun = False,
        **given: Any,
    ) -> None:
        from svtcli.prepare.build import PrepareOptions
        from svtcli.prepare.find_clips import folder_without_recipe
        from svtcli.prepare.stage import preview
        from svtcli.run.partial import ArrayTask

        task = ArrayTask.from_flags(task_index, task_count)
        options = PrepareOptions(workers, engine, address, task, time_limit)
        _check(options, retry_failed, force)
        data = _data(dataset, kind, given)
        folder = out or folder_without_recipe(data)
        if download and not dry_run:
            _download(data)
        if dry_run:
            would = preview(data, folder, options)
            console.show(_in_words(would), {**asdict(would), "dry_run": True})
            return
        done = _prepare(data, folder, options, retry_failed, force)
        console.show(str(folder), {**done, "dry_run": False})
        if is_clips(folder):
            console.suggest("look at them", typed("svt", "render", folder))

    settings = [each for each in settings_of(dataset) if each.name != "clips"]
    command = takes(settings, {"Clips": None, WORK: PERCENT}, show_defaults=True)(
        prepare
    )
    example = f"For example: svt prepare {kind} {dataset.example}"
    command.__doc__ = f"{without_sections(getdoc(dataset))}\n\n{example}"
    app.command(kind, cls=Command)(command)


for _each in DATASETS:
    _add(_each)


@app.command(cls=Command)
def verify(
    clips: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of prepared clips.",
            autocompletion=completion.clips_folders,
        ),
    ],
) -> None:
    """Read every clip again and compare the checksums.

    For example: svt prepare verify clips/quickstart
    """
    from svtcli.clips.verify import verify as verify_clips

    count = verify_clips(clips, console.progress())
    console.show(f"{clips}: {counted(count, 'clip')}, unchanged", {"clips": count})


def _prepare(
    data: "Data",
    folder: Path,
    options: "PrepareOptions",
    retry_failed: bool,
    force: bool,
) -> dict[str, Any]:
    """Prepare, and return facts about the clips, or about unfinished tasks."""
    from svtcli.prepare import stage
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
    for line in done.summary:
        console.note(line)
    return asdict(done)


def _check(options: "PrepareOptions", retry: bool, force: bool) -> None:
    """Refuse flags that cannot be combined. Errors: `Refused`."""
    clashes = {
        "--engine ray": options.engine == "ray",
        "--retry-failed": retry,
        "--force": force,
    }
    if options.task is not None and (given := [x for x in clashes if clashes[x]]):
        raise Refused(f"{given[0]} cannot be combined with --task-index")
    if options.address is not None and options.engine != "ray":
        raise Refused("--address: goes with --engine ray")
    if retry and force:
        raise Refused(
            "--retry-failed keeps finished clips, --force replaces them: choose one"
        )


def _download(data: "Data") -> None:
    """Download missing raw data to the folder of the source."""
    from svtcli.prepare.download.download import download
    from svtcli.prepare.sources.source_folder import download_folder
    from svtcli.recipe.labels import label_pattern

    labels = label_pattern(getattr(data, "subset", None), getattr(data, "match", ""))
    folder = download_folder(data.source, data.kind)
    download(data.kind, folder, console.progress(), data.splits, labels)


def _in_words(would: "Preview") -> str:
    """Describe a dry run."""
    videos = f"{counted(would.sources, 'video')} -> " if would.sources else ""
    clips = counted(would.clips, "clip")
    state = "already prepared" if would.finished else "not prepared yet"
    time = ""
    if would.seconds is not None:
        pace = counted(would.workers, "worker")
        time = f", about {about(would.seconds)} with {pace}"
    notes = "".join(f"\n  {note}" for note in would.notes)
    return (
        f"{would.folder}: {videos}about {clips}, {size(would.bytes)}"
        f"{time}; {state}{notes}"
    )


def _data(dataset: Any, kind: str, given: dict[str, Any]) -> "Data":
    """Check the section `data`. Errors: `Refused`, which names the flags."""
    try:
        data: Data = dataset(kind, **given)
    except Misfit as error:
        raise Refused(
            "; ".join(
                f"{flag(key)} {given.get(key, '')}: {why}".replace(" :", ":")
                for key, why in error.problems.items()
            )
        ) from error
    return data
