"""`svt train`: train a recipe's model, in one process or several."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import console
from svtcli.cli.flags import DryRun, Overrides, RecipeName, RunName, load
from svtcli.failure import Refused, Stopped
from svtcli.run.names import run_argument, typed
from svtcli.run.progress import counted
from svtcli.train.memory import keep_freed_memory

if TYPE_CHECKING:
    from svtcli.train.distributed import Meeting, Peers
    from svtcli.train.plan import TrainPlan
    from svtcli.train.stage import Setup, Trained


PROCESSES = "Several processes"


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    run: RunName = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Save and stop at this step (default: train.steps of the recipe).",
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Start over; earlier checkpoints are moved aside."
        ),
    ] = False,
    profile: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Profile N steps, after the first few, into the run's profile/.",
        ),
    ] = 0,
    dry_run: DryRun = False,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            envvar="SVT_COORDINATOR",
            help="Address at which process 0 listens.",
            rich_help_panel=PROCESSES,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            envvar="SVT_PROCESSES",
            help="Number of processes.",
            rich_help_panel=PROCESSES,
        ),
    ] = None,
    process: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="I",
            envvar="SVT_PROCESS",
            help="Number of this process, from 0.",
            rich_help_panel=PROCESSES,
        ),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            envvar="SVT_CLUSTER",
            help="Find the processes through Slurm, Open MPI, Kubernetes or a TPU pod.",
            rich_help_panel=PROCESSES,
        ),
    ] = False,
    patience: Annotated[
        int,
        typer.Option(
            min=10,
            metavar="SECONDS",
            help="Time to wait for a process before it counts as lost; at least 10.",
            rich_help_panel=PROCESSES,
        ),
    ] = 900,
) -> None:
    """Train a recipe's model on its prepared clips.

    Re-run the same command to resume. The first Ctrl-C saves and stops; a second one
    exits without saving.

    For example: svt train bair_large train.batch=32 --run smaller-batch

    Several processes, each started with the same recipe in the same folders, train as
    one: all of their devices share the same batches.
    """
    keep_freed_memory()
    from svtcli.run.directory import run_folder

    loaded = load(recipe, overrides)
    folder = run_folder(run or loaded.name)
    from svtcli.train.plan import plan_training

    arguments = loaded, folder, steps, fresh, profile
    meeting = meeting_of(coordinator, processes, process, cluster, patience)
    if meeting is None:
        plan_training(*arguments)  # refuse before jax is imported, which takes seconds
    from svtcli.train import stage as stage

    with together(meeting) as peers:
        if dry_run:
            plan = plan_training(*arguments)
            setup = stage.set_up(plan)
            if peers.first:
                _show_plan(plan, setup)
            return
        progress = console.progress()
        trained = stage.train(loaded, folder, progress, steps, fresh, profile, peers)
    if peers.first:
        _show(trained)


def _show_plan(plan: "TrainPlan", setup: "Setup") -> None:
    """Show the plan, one fact a line."""
    train, device = plan.recipe.train, setup.layout.description
    facts = {
        "writes to": str(plan.run.path),
        "clips": f"{plan.clips.name}, {len(plan.clips)} of split train",
        "parameters": f"{setup.parameters:,}",
        "steps": f"{plan.start:,} to {plan.until:,}, {train.batch} slices each",
    }
    if plan.validation is not None:
        every = f"every {train.validate_every:,} steps"
        facts["validation"] = f"{plan.validation}, {every}"
    if plan.profile:
        facts["profile"] = f"{counted(plan.profile, 'step')}, into {plan.run.profile}"
    facts["device"] = device
    data = {
        "run": str(plan.run.path),
        "clips": len(plan.clips),
        "parameters": setup.parameters,
        "start": plan.start,
        "steps": plan.until,
        "batch": train.batch,
        "device": device,
        "dry_run": True,
    }
    console.show(console.facts(facts), data)


def _show(trained: "Trained") -> None:
    """Print the run folder on stdout, alone, for use in scripts; the rest on stderr."""
    score = f", {trained.score:.3f} {trained.unit}" if trained.score is not None else ""
    console.note(f"step {trained.step}{score} (last training batch)")
    if trained.validation is not None:
        console.note(f"validation: {trained.validation:.3f} {trained.unit}")
    data = {
        "run": str(trained.run.path),
        "step": trained.step,
        trained.score_name: trained.score,
        f"validation_{trained.score_name}": trained.validation,
    }
    console.show(str(trained.run.path), data)
    sample = typed("svt", "sample", run_argument(trained.run))
    console.suggest("sample from it", sample)


def meeting_of(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    cluster: bool,
    patience: int,
) -> "Meeting | None":
    """Meeting that the command line asks for; None for a single process.

    Errors: Refused for flags that are missing or contradict each other.
    """
    flags = {
        "--coordinator": coordinator,
        "--processes": processes,
        "--process": process,
    }
    given = [flag for flag, value in flags.items() if value is not None]
    if cluster and given:
        raise Refused(
            f"--cluster finds out by itself what {given[0]} says", "leave one out"
        )
    if not cluster:
        if not given:
            return None
        if coordinator is None or processes is None or process is None:
            missing = next(flag for flag in flags if flag not in given)
            raise Refused(
                f"{missing} is missing: {', '.join(flags)} belong together",
                "or use --cluster, under Slurm, Open MPI or on a TPU pod",
            )
        if not 0 <= process < processes:
            range_ = f"0 to {processes - 1}"
            raise Refused(
                f"--process {process}: the {processes} processes are {range_}"
            )
        host, colon, port = coordinator.rpartition(":")
        if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
            raise Refused(
                f"--coordinator {coordinator}: is not HOST:PORT",
                "for example 10.0.0.1:8476",
            )
    from svtcli.train.distributed import Meeting  # which imports JAX

    return Meeting(coordinator, processes, process, patience)


@contextmanager
def together(meeting: "Meeting | None") -> Iterator["Peers"]:
    """Meet the other processes; a single one where `meeting` is None.

    An error of this process alone ends it at once: Python's clean-up would wait for the
    others, which notice its loss.
    """
    from svtcli.train.distributed import joined

    try:
        with joined(meeting) as peers:
            yield peers
    except Stopped:
        raise
    except BaseException as error:
        if meeting is None:
            raise
        code = console.report(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
