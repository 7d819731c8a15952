"""`svt train`: find the parameters of a recipe's model."""

from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import console
from svtcli.cli.arguments import Overrides, RecipeName, RunName
from svtcli.train.host_memory import keep_freed_memory

if TYPE_CHECKING:
    from svtcli.train.plan import Plan
    from svtcli.train.stage import Trained


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    run: RunName = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Stop, and save, at this step. Default: the recipe's last."
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Start over; what the run has saved is moved aside."
        ),
    ] = False,
    profile: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Trace N steps, after the first few, into the run's profile/.",
        ),
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be done.")
    ] = False,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            envvar="SVT_COORDINATOR",
            help="Train in several processes; where process 0 listens.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", envvar="SVT_PROCESSES", help="How many there are."
        ),
    ] = None,
    process: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="I", envvar="SVT_PROCESS", help="This one, from 0."
        ),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            envvar="SVT_CLUSTER",
            help="Find the others through Slurm, Open MPI, Kubernetes or a TPU pod.",
        ),
    ] = False,
    patience: Annotated[
        int,
        typer.Option(
            min=10,
            metavar="SECONDS",
            help="How long a process is waited for before it counts as lost.",
        ),
    ] = 900,
) -> None:
    """Train a recipe's model on its prepared clips.

    The same command again goes on where it was stopped. The first Ctrl-C saves and
    stops; a second one stops at once.

    For example: svt train bair_large train.batch=32 --run smaller-batch

    Several processes, each called with the same recipe in the same folders, train as
    one: the same batches, shared out among all of their devices.
    """
    keep_freed_memory()
    from svtcli.recipe.load import load_recipe
    from svtcli.run.directory import run_folder

    loaded = load_recipe(recipe, overrides or ())
    folder = run_folder(run or loaded.name)
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.cli.multiprocess import together
    from svtcli.train import stage as stage
    from svtcli.train.distributed import meeting_of
    from svtcli.train.plan import plan_training

    meeting = meeting_of(coordinator, processes, process, cluster, patience)
    plan = trained = None
    with together(meeting) as peers:
        if dry_run:
            plan = plan_training(loaded, folder, steps, fresh, profile)
        else:
            progress = console.progress()
            trained = stage.train(
                loaded, folder, progress, steps, fresh, profile, peers
            )
    if plan and peers.first:
        _show_plan(plan)
    if trained and peers.first:
        _show(trained)


def _show_plan(plan: "Plan") -> None:
    """What would be done, one fact a line."""
    batch = plan.recipe.train.batch
    facts = {
        "writes to": str(plan.run.path),
        "clips": f"{plan.clips.name}, {len(plan.clips)} of split train",
        "parameters": f"{plan.parameters:,}",
        "steps": f"{plan.start:,} to {plan.until:,}, {batch} slices each",
        **_validation_fact(plan),
        **_profile_fact(plan),
        "device": plan.device,
    }
    data = {
        "run": str(plan.run.path),
        "clips": len(plan.clips),
        "parameters": plan.parameters,
        "start": plan.start,
        "steps": plan.until,
        "batch": batch,
        "device": plan.device,
        "dry_run": True,
    }
    console.show(console.facts(facts), data)


def _validation_fact(plan: "Plan") -> dict[str, str]:
    every = plan.recipe.train.validate_every
    if plan.validation is None:
        return {}
    return {"validation": f"{plan.validation}, every {every:,} steps"}


def _profile_fact(plan: "Plan") -> dict[str, str]:
    if not plan.profile:
        return {}
    return {"profile": f"{plan.profile} steps, into {plan.run.profile}"}


def _show(trained: "Trained") -> None:
    """The run folder on stdout, alone, so that it can be passed on; the rest beside."""
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
