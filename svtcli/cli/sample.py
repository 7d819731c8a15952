"""`svt sample`: continue held-out clips with a trained model."""

from dataclasses import replace
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import completion, console
from svtcli.cli.arguments import ClipsAndSplit, PrecisionFlag, clips_and_split, said
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.recipe.schema import Sample
    from svtcli.run.job_array import ArrayTask
    from svtcli.sample.stage import SamplePlan


class Schedule(StrEnum):
    """In what order pixels are computed."""

    auto = "auto"
    sequential = "sequential"
    parallel = "parallel"
    guess = "guess"


def sample(
    ckpt: Annotated[
        str,
        typer.Argument(
            metavar="CKPT",
            help="A run's name or folder, RUN@STEP, or a checkpoint.",
            autocompletion=completion.checkpoints,
        ),
    ],
    prime: Annotated[
        int | None, typer.Option(min=1, help="Given frames at the start of each clip.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=2, help="All frames, the given ones included.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many clips are continued.")
    ] = None,
    per_prime: Annotated[
        int | None, typer.Option(min=1, help="Continuations of each clip.")
    ] = None,
    temp: Annotated[
        float | None,
        typer.Option(min=0.0, help="Temperature; 0 takes the likeliest values."),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Draw from so many of a code's likeliest values."),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw from the likeliest values that have this share, to 1."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the noise.")] = None,
    precision: PrecisionFlag = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Videos at once on all devices; does not change the samples.",
        ),
    ] = None,
    schedule: Annotated[
        Schedule | None,
        typer.Option(help="Order of the work; does not change the samples."),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels that a pass of `guess` computes."),
    ] = None,
    data: ClipsAndSplit = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the samples. Default: in the run's samples/."),
    ] = None,
    task_index: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="I",
            help="Make the videos of task I (from 0) of a job array; the last task to "
            "end makes the folder, as with --task-index $SLURM_ARRAY_TASK_ID.",
        ),
    ] = None,
    task_count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tasks of the job array.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be made.")
    ] = False,
) -> None:
    """Continue held-out clips: exact samples, every pixel given all before it.

    All devices of the machine take part. The same command again goes on where it was
    stopped: with the videos that are not finished.

    What no flag says, the run's recipe says (its section `sample`). For example:
    svt sample quickstart --prime 5 --temp 0.9
    """
    from svtcli.run.directory import find_checkpoint

    run, step = find_checkpoint(ckpt)
    clips, split = clips_and_split(data)
    if temp is not None and not isfinite(temp):
        raise Refused(f"--temp {temp}: must be a number, 0 or larger")
    if top_p is not None and not 0 < top_p <= 1:
        raise Refused(f"--top-p {top_p:g}: must be larger than 0, and 1 at most")
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.run.job_array import ArrayTask
    from svtcli.sample import stage as stage
    from svtcli.train.commit_record import open_checkpoint

    task = ArrayTask.from_flags(task_index, task_count)
    checkpoint = open_checkpoint(run, step)
    flags = said(
        prime=prime,
        frames=frames,
        count=count,
        per_prime=per_prime,
        temperature=temp,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        batch=batch,
        split=split,
        precision=precision and precision.value,
        schedule=schedule and schedule.value,
        window=window,
    )
    settings = replace(checkpoint.recipe.sample, **flags)
    if window is not None and settings.schedule != "guess":
        raise Refused(
            f"--window {window}: the schedule {settings.schedule} has no window",
            "add --schedule guess",
        )
    plan = stage.plan_samples(checkpoint, settings, clips, out)
    if dry_run:
        _show_plan(plan, task)
    else:
        _make(plan, task)


def _make(plan: "SamplePlan", task: "ArrayTask | None") -> None:
    from svtcli.run.partial import Unfinished
    from svtcli.sample import stage as stage

    progress, data = console.progress(), {"samples": str(plan.out), "dry_run": False}
    if task is None:
        stage.sample(plan, progress)
    else:
        ended = stage.sample_task(plan, progress, task)
        if isinstance(ended, Unfinished):
            console.note(f"{ended.done} of {ended.of} videos are finished so far")
            data |= {"videos": ended.done, "of": ended.of}
    console.show(str(plan.out), data)


def _show_plan(plan: "SamplePlan", task: "ArrayTask | None") -> None:
    """What would be made, one fact a line."""
    from svtcli.sample.stage import chosen_schedule, sampling_layout

    layout = sampling_layout(len(task.share(plan.videos)) if task else plan.videos)
    kinds = f"{layout.devices} x {layout.device_kinds[0]}"
    settings, kept = plan.settings, len(plan.partial.finished())
    so_far = f", {kept} of {plan.videos} videos are finished" if kept else ""
    schedule = chosen_schedule(plan)
    by_itself = " (auto)" if settings.schedule == "auto" else ""
    pixels = f", {schedule.window} pixels a pass" if schedule.window else ""
    clips = f"{len(plan.numbers)} of {plan.clips.name}, split {settings.split}"
    facts = {
        "writes to": str(plan.out),
        "checkpoint": plan.checkpoint.name,
        "clips": clips,
        "samples": f"{settings.per_prime} of each, {plan.prime} frames given, "
        f"{plan.frames - plan.prime} made",
        "temperature": f"{settings.temperature:g}, seed {settings.seed}",
        **_unusual(settings),
        "schedule": schedule.name + by_itself + pixels,
        "devices": kinds + (f", task {task.index} of {task.count}" if task else ""),
        "state": "there already" if plan.finished else f"to be made{so_far}",
    }
    data = {
        "samples": str(plan.out),
        "checkpoint": plan.checkpoint.name,
        "dataset": plan.clips.name,
        "split": settings.split,
        "count": len(plan.numbers),
        "per_prime": settings.per_prime,
        "prime": plan.prime,
        "frames": plan.frames,
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "precision": settings.precision,
        "seed": settings.seed,
        "schedule": schedule.name,
        "window": schedule.window,
        "devices": layout.devices,
        "finished": plan.finished,
        "kept": kept,
        "dry_run": True,
    }
    console.show(console.facts(facts), data)


def _unusual(settings: "Sample") -> dict[str, str]:
    """What is not as it always was: values that are left out, a shorter precision."""
    short = settings.precision if settings.precision != "float32" else None
    facts = {"top-k": settings.top_k, "top-p": settings.top_p, "precision": short}
    return {name: f"{value}" for name, value in facts.items() if value is not None}
