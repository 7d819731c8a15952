"""`svt init`: a recipe that fits one's own videos."""

from pathlib import Path
from typing import Annotated

import typer

from svtcli.cli import console
from svtcli.cli.flags import DryRun, Force
from svtcli.failure import Refused
from svtcli.run.names import typed


def init(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The recipe to write, such as mine.yaml."),
    ],
    source: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Folder of videos, numbered pictures, arrays, or prepared clips.",
        ),
    ],
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Write a recipe that fits your own videos.

    Reads the headers of the videos and measures this machine, to choose size, frames,
    rate, held-out part, batch and steps; comments in the recipe give the reasons.

    For example: svt init mine.yaml --source path/to/videos
    """
    from svtcli.prepare.contents import look
    from svtcli.prepare.plan import listed_failures
    from svtcli.recipe.load import SUFFIXES
    from svtcli.run.directory import run_folder
    from svtcli.run.durable import write_atomic
    from svtcli.run.progress import about

    if file.suffix not in SUFFIXES:
        raise Refused(f"{file}: not the name of a recipe", f"name it {file}.yaml")
    run_folder(file.stem)  # refuses a name that no run can have
    if file.is_dir():
        raise Refused(f"{file}: is a folder", "name the file to write")
    if file.exists() and not force:
        raise Refused(f"{file}: already exists", "--force overwrites it")
    found = look(source, console.progress())
    console.note("measuring this machine")
    from svtcli.project.init import new_recipe  # brings jax

    made = new_recipe(found, str(file))
    if not dry_run:
        write_atomic(file, made.text)
    for line in (*found.notes, *made.notes, *listed_failures(found.unreadable)):
        console.note(line)
    clips, data = made.choice.clips, made.recipe.data
    facts = {
        "would write" if dry_run else "recipe": str(file),
        "source": found.told,
        "clips": ", ".join(f"{count} {split}" for split, count in clips.items())
        + f", each {made.choice.frames} frames of {data.size} x {data.size}",
    }
    for what, seconds in made.seconds.items():
        if seconds is not None:
            facts[what] = f"about {about(seconds)} on {made.device}"
    console.show(
        console.facts(facts),
        {
            "path": str(file),
            "source": found.told,
            "unreadable": [str(each) for each in found.unreadable],
            "clips": clips,
            "seconds": made.seconds,
            "dry_run": dry_run,
        },
    )
    if not dry_run:
        console.suggest("the next command", typed("svt", "run", file))
