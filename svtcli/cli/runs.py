"""`svt runs`: list, show, compare, copy and remove runs; export and import weights."""

import math
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svtcli.cli import completion, console
from svtcli.cli.command import Command
from svtcli.cli.flags import DryRun
from svtcli.cli.weights import Ckpt, NewRun, export_, import_
from svtcli.recipe.schema import UNITS
from svtcli.recipe.setting import written
from svtcli.run.progress import about
from svtcli.train.memory import size

if TYPE_CHECKING:
    from svtcli.project.runs import Details, Overview

app = typer.Typer(
    help="List, compare, copy and remove runs; export and import weights."
)


def _run_argument(metavar: str, help_: str) -> Any:
    return typer.Argument(metavar=metavar, help=help_, autocompletion=completion.runs)


Runs = Annotated[list[str], _run_argument("RUN", "Names or folders of runs.")]


@app.command("list", cls=Command)
def list_(
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V",
            help="Only runs whose recipe key, score or column has this value; also "
            "with !=, <, <=, > and >=, in quotes. If repeated, all must hold.",
            autocompletion=completion.overrides,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Sort by a score (such as fvd or test.bits_per_dim), the best first, "
            "or by a recipe key or column.",
            autocompletion=completion.sort_keys,
        ),
    ] = None,
) -> None:
    """List runs, the most recently changed first.

    The folder of runs is runs/, or $SVT_RUNS.

    For example: svt runs list --sort bits_per_dim --where model.d=128
    """
    from svtcli.project.runs import list_runs
    from svtcli.run.directory import runs_root

    root, keys = runs_root(), list[str]()
    if where or sort:
        from svtcli.project.select_runs import COLUMNS, select_runs

        found, asked = select_runs(root, where or (), sort)
        keys = [key for key in asked if key not in COLUMNS]
    else:
        found = [line for line, _ in list_runs(root)]
    columns = ("RUN", "RECIPE", "STEP", "LAST", "BEST", "AGE", "SIZE", *keys)
    rows = [
        (*_row(run), *(_value(run.values[key]) for key in keys), _overrides(run))
        for run in found
        if run.problem is None
    ]
    broken = [f"{run.name}: {run.problem}" for run in found if run.problem]
    text = console.table((*columns, "SETTINGS"), rows) if rows else ""
    if not found:
        text = f"no runs in {root}/ yet; start one: svt train RECIPE"
        if (where or sort) and list_runs(root):
            text = "no run meets these conditions"
    data = [_finite(asdict(run)) for run in found]
    console.show("\n".join([text, *broken]).strip(), {"runs": data})


@app.command(cls=Command)
def table(
    runs: Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that gets the table (Markdown, CSV), a chart and copies of "
            "the runs' small files.",
        ),
    ] = None,
) -> None:
    """Compare the scores of runs, by the keys in which they differ.

    Runs that differ only in their seed share one row: mean and standard deviation. Only
    the small files of a run are read: run.json, recipe.yaml and eval/.

    For example: svt runs table runs/quickstart-* --out shown
    """
    from svtcli.cli.sweep import show_table
    from svtcli.evaluate.run_scores import scored
    from svtcli.evaluate.run_table import ascending, table_rows
    from svtcli.run.directory import find_run, refuse_unwritable

    folders = [find_run(run) for run in dict.fromkeys(runs)]
    if out is not None:
        refuse_unwritable(out)
    show_table(ascending(table_rows(scored(folders))), {}, out, folders)


@app.command(cls=Command)
def show(
    run: Annotated[str, _run_argument("RUN", "A run's name or folder.")],
) -> None:
    """Show a run's origin, non-default settings and progress.

    For example: svt runs show quickstart
    """
    from svtcli.project.runs import details
    from svtcli.run.directory import find_run

    found = details(find_run(run))
    spent = found.goodput
    data = _finite(asdict(found))
    if spent is not None:
        data["goodput"]["share"] = spent.share
    console.show(_text(found), data)


@app.command(cls=Command)
def diff(
    a: Annotated[str, _run_argument("A", "A run's name or folder.")],
    b: Annotated[str, _run_argument("B", "Another run's name or folder.")],
) -> None:
    """Show the recipe keys in which two runs differ, and their scores.

    For example: svt runs diff bair_spatiotemporal bair_spatial
    """
    from svtcli.project.runs import details, differences
    from svtcli.run.directory import find_run

    folders = find_run(a), find_run(b)
    keys = differences(*folders)
    one, other = (details(folder) for folder in folders)
    names = one.overview.name, other.overview.name
    rows: list[tuple[object, ...]] = [
        (key, *map(_value, values)) for key, values in keys.items()
    ]
    scores = [_progress(each) for each in (one, other)]
    rows += [
        (name, *(_value(each.get(name)) for each in scores))
        for name in dict.fromkeys([*scores[0], *scores[1]])
    ]
    data = {
        "runs": names,
        "recipe": {key: list(values) for key, values in keys.items()},
        "scores": [_finite(each) for each in scores],
    }
    console.show(console.table(("", *names), rows), data)


@app.command(cls=Command)
def copy(ckpt: Ckpt, run: NewRun, dry_run: DryRun = False) -> None:
    """Copy a run as of a checkpoint, to train the copy further.

    The copy resumes as the run would, also with another schedule or more steps; the run
    itself does not change.

    For example: svt runs copy bair_large@200000 finished
    """
    from svtcli.run.directory import find_checkpoint, run_folder
    from svtcli.train.commit_record import open_checkpoint

    checkpoint = open_checkpoint(*find_checkpoint(ckpt), console.note)
    folder = run_folder(run)
    from svtcli.project.copy import copy_run

    copy_run(checkpoint, folder, dry_run)
    data = {"run": str(folder.path), "step": checkpoint.step, "dry_run": dry_run}
    text = f"would create {folder.path}" if dry_run else str(folder.path)
    console.show(text, data)


@app.command(cls=Command)
def rm(runs: Runs, dry_run: DryRun = False) -> None:
    """Move runs to the trash, the folder .trash beside them.

    Nothing is deleted: the commands that get a run back, or delete it for good, are
    shown. A run is refused while a process trains, samples or scores it.

    For example: svt runs rm quickstart
    """
    from svtcli.project.runs import folder_size
    from svtcli.project.trash import plan_removals, remove

    removals, verb = plan_removals(runs), "would move" if dry_run else "moved"
    for each in removals:
        freed = size(folder_size(each.run))
        if not dry_run:
            remove(each)
            console.note(f"to get it back: {each.restore}")
            console.note(f"to free its {freed}: {each.delete}")
    data = [
        {"run": str(each.run), "trash": str(each.trash), "restore": each.restore}
        for each in removals
    ]
    text = "\n".join(f"{verb} {each.run} to {each.trash}" for each in removals)
    console.show(text, {"removed": data, "dry_run": dry_run})


app.command("export", cls=Command)(export_)
app.command("import", cls=Command)(import_)


def _row(run: "Overview") -> tuple[str, ...]:
    step = "-" if run.step is None else f"{run.step:,}"
    steps = f"{step}/{run.steps:,}" if run.steps else ""
    age = "" if run.changed is None else about(max(0.0, time.time() - run.changed))
    scores = (f"{x:.3f}" if x is not None else "-" for x in (run.last, run.best))
    return (run.name, run.recipe or "", steps, *scores, age, size(run.size))


def _overrides(run: "Overview") -> str:
    """Settings in which the run differs from its recipe's file."""
    places = ("data.source=", "data.clips=")
    return " ".join(each for each in run.overrides if not each.startswith(places))


def _text(found: "Details") -> str:
    """Format the details: facts, then the recipe's settings, then the metrics."""
    run, made = found.overview, found.facts
    facts = {"run": run.name}
    if run.problem:
        facts["problem"] = run.problem
    if made is not None:
        facts |= {
            "recipe": f"{run.recipe} from {made.source}",
            "command": " ".join(made.command),
            "clips fingerprint": made.data_fingerprint[:12],
            "seed": str(made.seed),
            "devices": ", ".join(made.devices),
            "versions": ", ".join(f"{k} {v}" for k, v in made.versions.items()),
            "commit": made.git_commit or "unknown",
        }
    steps = ", ".join(f"{step:,}" for step in found.checkpoints)
    facts["checkpoints"] = steps or "none yet"
    if spent := found.goodput:
        facts["goodput"] = (
            f"{spent.share:.1%} of {about(spent.wall)}; {spent.replayed} steps repeated"
        )
    text = console.facts(facts)
    for title, values in (
        ("non-default settings", found.settings),
        ("newest metrics", found.metrics),
    ):
        if values:
            named = {f"  {key}": _value(value) for key, value in values.items()}
            if title == "newest metrics" and isinstance(values.get("time"), float):
                named["  time"] = (
                    f"{datetime.fromtimestamp(values['time']):%Y-%m-%d %H:%M}"
                )
            text += f"\n\n{title}:\n{console.facts(named)}"
    return text


def _progress(found: "Details") -> dict[str, Any]:
    """Step and scores of a run."""
    run = found.overview
    scores: dict[str, Any] = {k: v for k, v in found.metrics.items() if k in UNITS}
    if run.score_name is not None:
        name = f"validation_{run.score_name}"
        scores |= {name: run.last, f"best_{name}": run.best}
    return {"step": run.step, **scores}


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else written(value)


def _finite(data: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN and infinity, which JSON lacks, with None."""
    return {
        key: _finite(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for key, value in data.items()
    }
