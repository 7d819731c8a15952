"""`svt eval`: score trained models on held-out clips."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svtcli.cli import console
from svtcli.cli.arguments import ClipsAndSplit, PrecisionFlag, clips_and_split, said
from svtcli.cli.scores import frame_table, score_data, score_table
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.stages.evaluation import EvalPlan
    from svtcli.stages.part import Part


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
        typer.Option(
            min=1, help="Clips at once on all devices; does not change the score."
        ),
    ] = None,
    precision: PrecisionFlag = None,
    baselines: Annotated[
        list[Baseline] | None,
        typer.Option("--baseline", help="Also score this; may be repeated."),
    ] = None,
    data: ClipsAndSplit = None,
    splits: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="NAME",
            help="Score this split; may be repeated, each is scored by itself.",
        ),
    ] = None,
    per_frame: Annotated[
        bool, typer.Option("--per-frame", help="Also show the score of each frame.")
    ] = False,
    task_index: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="I",
            help="Score the clips of task I (from 0) of a job array; the last task to "
            "end writes the result, as with --task-index $SLURM_ARRAY_TASK_ID.",
        ),
    ] = None,
    task_count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tasks of the job array.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be scored.")
    ] = False,
) -> None:
    """Score trained models: bits/dim, or nats/frame with the deterministic loss.

    Every clip is scored by the windows and slices that would sample it; given frames
    are not scored. What no flag says, the run's recipe says (its section `eval`).

    All devices of the machine take part. The same command again goes on where it was
    stopped: with the clips that are not scored.
    """
    folder, split = clips_and_split(data)
    if split and splits:
        raise Refused(f"--data {data} --split {splits[0]}: both name a split")
    named = (split,) if split else tuple(splits or ())
    flags = said(
        prime=prime,
        frames=frames,
        clips=clips,
        batch=batch,
        split=named[0] if named else None,
        also=named[1:] if named else None,
        precision=precision and precision.value,
        baselines=tuple(each.value for each in baselines) if baselines else None,
    )
    score_likelihood(runs, folder, flags, (task_index, task_count), per_frame, dry_run)


def score_likelihood(
    runs: list[str],
    folder: Path | None,
    flags: dict[str, Any],
    task: tuple[int | None, int | None],
    per_frame: bool,
    dry_run: bool,
) -> None:
    """Bits/dim or nats/frame of `runs` on the clips in `folder`, None for their own.

    `flags` are settings of the recipe's section `eval` that this call changes, `task`
    the values of `--task-index` and `--task-count`.
    """
    from svtcli.run.directory import find_checkpoint

    checkpoints = [find_checkpoint(run) for run in runs]
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.stages.evaluation import plan_evaluations
    from svtcli.stages.part import part_of
    from svtcli.stages.trained import open_checkpoint

    part, opened = part_of(*task), [open_checkpoint(*each) for each in checkpoints]
    plans = [
        plan
        for each in opened
        for plan in plan_evaluations(each, replace(each.recipe.eval, **flags), folder)
    ]
    if dry_run:
        _show_plans(plans, part)
    else:
        _score(plans, part, per_frame)


def _score(plans: "list[EvalPlan]", part: "Part | None", per_frame: bool) -> None:
    """Score what is missing; show what is whole, and how much of the rest is owed."""
    from svtcli.stages import evaluate as stage
    from svtcli.stages.evaluation import UnfinishedScores

    progress, whole, owed = console.progress(), {}, []
    for plan in plans:
        if part is None:
            whole[plan.out] = stage.evaluate(plan, progress)
            continue
        ended = stage.evaluate_part(plan, progress, part)
        if isinstance(ended, UnfinishedScores):
            console.note(
                f"{ended.clips} of {ended.of} clips are scored so far: {plan.out}"
            )
            owed.append({"file": str(plan.out), "clips": ended.clips, "of": ended.of})
        else:
            whole[plan.out] = ended
    evaluations = list(whole.values())
    data: dict[str, object] = {
        "evaluations": [score_data(each) for each in evaluations],
        "dry_run": False,
    }
    tables = [score_table(evaluations)] if evaluations else []
    if per_frame and evaluations:
        tables.append(frame_table(evaluations))
    console.show("\n\n".join(tables), data | ({"unfinished": owed} if owed else {}))
    for out in whole:
        console.note(f"written to {out}")


def _show_plans(plans: "list[EvalPlan]", part: "Part | None") -> None:
    """What would be scored, one evaluation a line."""
    from svtcli.stages.evaluate import unfinished

    lines = []
    for plan in plans:
        own = len(part.share(len(plan.numbers))) if part else len(plan.numbers)
        share = f" (task {part.index} of {part.count})" if part else ""
        kept = unfinished(plan)
        so_far = f" ({kept.clips} of {kept.of} clips are scored)" if kept.clips else ""
        lines.append(
            f"would score {plan.checkpoint.name} on {own} clips{share} of "
            f"{plan.folder}, split {plan.settings.split}, frames {plan.prime + 1} to "
            f"{plan.frames}: {plan.out}" + (" (done)" if plan.finished else so_far)
        )
    files = [str(plan.out) for plan in plans]
    console.show("\n".join(lines), {"files": files, "dry_run": True})
