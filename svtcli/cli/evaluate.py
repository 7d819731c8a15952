"""`svt eval`: score trained models on held-out clips."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from svtcli.cli import console
from svtcli.cli.arguments import ClipsAndSplit, PrecisionFlag, clips_and_split, said
from svtcli.cli.scores import score_data, score_table


class Baseline(StrEnum):
    """What a model can be compared with; a test holds it equal to the recipe's."""

    uniform = "uniform"
    untrained = "untrained"


def evaluate(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="CKPT...", help="Runs, RUN@STEP, or checkpoints; one or several."
        ),
    ],
    prime: Annotated[
        int | None, typer.Option(min=1, help="Given frames, which are not scored.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=2, help="Frames of each clip, given ones included."),
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Score at most so many clips.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Clips at once; does not change the score."),
    ] = None,
    precision: PrecisionFlag = None,
    baselines: Annotated[
        list[Baseline] | None,
        typer.Option("--baseline", help="Also score this; may be repeated."),
    ] = None,
    data: ClipsAndSplit = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be scored.")
    ] = False,
) -> None:
    """Score trained models: bits/dim, or nats/frame with the deterministic loss.

    Every clip is scored by the windows and slices that would sample it; given frames
    are not scored. What no flag says, the run's recipe says (its section `eval`).
    """
    from svtcli.run.directory import find_checkpoint

    checkpoints = [find_checkpoint(run) for run in runs]
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.stages import evaluate as stage
    from svtcli.stages.trained import open_checkpoint

    folder, split = clips_and_split(data)
    flags = said(
        prime=prime,
        frames=frames,
        clips=clips,
        batch=batch,
        split=split,
        precision=precision and precision.value,
        baselines=tuple(each.value for each in baselines) if baselines else None,
    )
    plans = []
    for run, step in checkpoints:
        checkpoint = open_checkpoint(run, step)
        settings = replace(checkpoint.recipe.eval, **flags)
        plans.append(stage.plan_evaluation(checkpoint, settings, folder))
    if dry_run:
        lines = [
            f"would score {plan.checkpoint.name} on {len(plan.numbers)} clips of "
            f"{plan.folder}, split {plan.settings.split}, frames {plan.prime + 1} to "
            f"{plan.frames}: {plan.out}" + (" (done)" if plan.finished else "")
            for plan in plans
        ]
        files = [str(plan.out) for plan in plans]
        console.show("\n".join(lines), {"files": files, "dry_run": True})
        return
    evaluations = [stage.evaluate(plan, console.progress()) for plan in plans]
    scores = [score_data(each) for each in evaluations]
    console.show(score_table(evaluations), {"evaluations": scores, "dry_run": False})
    for plan in plans:
        console.note(f"written to {plan.out}")
