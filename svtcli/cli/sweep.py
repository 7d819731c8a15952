"""`svt sweep`: runs of every combination of settings, their table and their chart."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from svtcli.cli import completion, console
from svtcli.cli.flags import (
    Address,
    DryRun,
    Engine,
    RecipeName,
    TaskCount,
    TaskIndex,
)
from svtcli.failure import Failure, Refused, error_object
from svtcli.run.progress import about, counted
from svtcli.train.memory import keep_freed_memory

if TYPE_CHECKING:
    from svtcli.evaluate.run_table import Row
    from svtcli.project.combinations import Sweep
    from svtcli.recipe.schema import Stage

Last = Literal["train", "eval", "render"]


def sweep(
    recipe: RecipeName,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="K=V,V",
            help="A key and its values, for example train.learning_rate=1e-3,3e-3; one "
            "value applies to all runs.",
            autocompletion=completion.overrides,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Train each combination with N random seeds."
        ),
    ] = None,
    last: Annotated[
        Last,
        typer.Option("--to", metavar="STAGE", help="Last stage: train, eval, render."),
    ] = "eval",
    name: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="Prefix of the runs' names (default: the recipe's name).",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the table, the chart and the runs' small files (default: "
            "sweeps/NAME).",
        ),
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    task_index: TaskIndex = None,
    task_count: TaskCount = None,
    dry_run: DryRun = False,
) -> None:
    """Train and score every combination of settings, and compare.

    Each combination is a run of its own, named after the recipe and its values; those
    of keys that training does not depend on, such as sample.temperature, share one.
    K,K=V,V gives several keys the same values. Without keys, the variants of the
    recipe's section sweep are trained. Re-run the same command to resume; a run that
    fails does not end the others. The table has the mean of the seeds and their
    standard deviation. -n lists the runs and the time that training will take.

    For example: svt sweep quickstart model.d=64,128 --seeds 3
    """
    keep_freed_memory()
    from svtcli.project.combinations import plan_sweep
    from svtcli.run.partial import ArrayTask

    task = ArrayTask.from_flags(task_index, task_count)
    if address is not None and engine != "ray":
        raise Refused("--address: goes with --engine ray")
    if task is not None and engine == "ray":
        raise Refused("--engine ray cannot be combined with --task-index")
    planned = plan_sweep(recipe, values or (), seeds, name or "")
    for line in planned.defaults_taken:
        console.note(line)
    from svtcli.project.sweep import (
        refuse_sweep,
        run_sweep,
        run_sweep_on_ray,
        sweep_stages,
    )
    from svtcli.run.directory import refuse_unwritable
    from svtcli.run.ray_cluster import connected

    stages, progress = sweep_stages(last), console.progress()
    folder = out or Path("sweeps") / planned.name
    refuse_unwritable(folder)
    if dry_run:
        _show_plan(planned, stages)
        return
    with ExitStack() as stack:
        if engine == "ray":
            ray = stack.enter_context(connected(address))
        refuse_sweep(planned, stages)  # brings jax
        if engine == "ray":
            result = run_sweep_on_ray(ray, planned, stages, progress)
        else:
            result = run_sweep(planned, stages, progress, task)
    from svtcli.evaluate.run_table import table_rows

    failed = {run: console.explain(error) for run, error in result.failed.items()}
    data: dict[str, Any] = {
        "failed": [
            {"run": run, **error_object(*explained)}
            for run, explained in failed.items()
        ],
        "waiting": result.waiting,
        "dry_run": False,
    }
    rows = table_rows(result.scored)
    if result.waiting:
        there = len(planned.runs) - len(result.waiting) - len(failed)
        console.note(f"{there} of {counted(len(planned.runs), 'run')} are finished")
        show_table(rows, data)
    else:
        show_table(rows, data, folder, [run.folder for run in planned.runs])
    if failed:
        raise _failure(failed, len(planned.runs))


def show_table(
    rows: "Sequence[Row]",
    data: Mapping[str, Any],
    out: Path | None = None,
    runs: Sequence[Any] = (),
) -> None:
    """Print a table of runs; with `out`, write it there, with chart and small files."""
    from svtcli.evaluate.run_table import cells, notes, row_data

    files: list[Path] = []
    if out is not None:
        from svtcli.project.sweep_folder import write_sweep

        files = write_sweep(rows, runs, out)
    text = "\n".join([console.table(*cells(rows)), *notes(rows)])
    paths = "\n".join(map(str, files))
    written = {"rows": [row_data(row) for row in rows], "files": list(map(str, files))}
    console.show("\n\n".join(filter(None, [text, paths])), {**written, **data})


def _show_plan(planned: "Sweep", stages: "tuple[Stage, ...]") -> None:
    """Show the runs, the time that their training takes, and what would be refused."""
    from svtcli.project.sweep import refuse_sweep, states

    refused: Failure | None = None
    try:
        refuse_sweep(planned, stages)
    except Refused as error:
        if console.settings().json:  # one object
            raise
        refused = error
    found = states(planned, stages)
    left = [each for each in found if not each.done]
    rows = [
        (
            each.run.folder.name,
            "done" if each.done else f"{each.status.stage} {each.status.state}",
            "" if not each.seconds else about(each.seconds),
            each.status.why,
        )
        for each in found
    ]
    known = [each.seconds for each in left if each.seconds is not None]
    total = sum(known)
    time = f", about {about(total)} of training here" if total else ""
    text = console.table(("run", "state", "training", "why"), rows)
    line = f"{counted(len(found), 'run')}, {len(left)} to do{time}"
    runs = [
        {
            "run": each.run.folder.name,
            "settings": [one.settings for one in each.run.combinations],
            "stage": each.status.stage,
            "state": each.status.state,
            "why": each.status.why,
            "seconds": each.seconds,
        }
        for each in found
    ]
    data = {"runs": runs, "seconds": total, "dry_run": True}
    console.show(f"{text}\n{line}", data)
    if refused is not None:
        raise refused


def _failure(failed: Mapping[str, tuple[str, str | None, int]], of: int) -> Failure:
    """Error at the end: which runs failed, and why."""
    lines = [
        f"{run}: {sentence}" + (f"; {hint}" if hint else "")
        for run, (sentence, hint, _) in failed.items()
    ]
    error = Failure(
        "\n  ".join([f"{len(failed)} of {counted(of, 'run')} failed", *lines]),
        "re-run the same command to try them again; finished runs are kept",
    )
    error.many_lines = True
    codes = {code for _, _, code in failed.values()}
    error.code = codes.pop() if len(codes) == 1 else Failure.code
    return error
