"""`svt sample`: continue held-out clips with a trained model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svtcli.cli import completion, console
from svtcli.cli.flags import (
    WHERE,
    ClipsAndSplit,
    DryRun,
    TaskCount,
    TaskIndex,
    clips_and_split,
    takes,
)
from svtcli.failure import Refused
from svtcli.recipe.schema import Sample
from svtcli.recipe.setting import (
    CLIPS,
    NO_INFLUENCE,
    non_default,
    settings_of,
)

if TYPE_CHECKING:
    from svtcli.run.partial import ArrayTask
    from svtcli.sample.plan import SamplePlan

SHOWN = (
    *("split", "count", "per_prime", "actions", "prime", "frames"),
    *("temperature", "seed"),
)
"""Settings that -n always shows, in its own words."""


@takes(
    settings_of(Sample),
    {
        "What to sample (default: the recipe's)": CLIPS,
        "How to sample (default: the recipe's)": None,
        "Speed and memory (the samples stay the same)": NO_INFLUENCE,
    },
)
def sample(
    ckpt: Annotated[
        str,
        typer.Argument(
            metavar="CKPT",
            help="A run's name or folder, RUN@STEP, or a checkpoint.",
            autocompletion=completion.checkpoints,
        ),
    ],
    data: ClipsAndSplit = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the samples (default: in the run's samples/).",
            rich_help_panel=WHERE,
        ),
    ] = None,
    task_index: TaskIndex = None,
    task_count: TaskCount = None,
    dry_run: DryRun = False,
    **given: Any,
) -> None:
    """Sample continuations of held-out clips from a trained model.

    Samples are exact: each pixel is drawn from the model's distribution given the
    pixels before it. All devices of the machine
    take part. Re-run the same command to resume with the videos that are missing.

    For example: svt sample quickstart --prime 5 --temp 0.9

    A model with actions shows what it does under others: --actions own,zero,reverse
    """
    from svtcli.run.directory import find_checkpoint

    run, step = find_checkpoint(ckpt)
    clips, split = clips_and_split(data)
    if split:
        if "split" in given:
            raise Refused(f"--data {data} --split {given['split']}: both name a split")
        given["split"] = split
    from svtcli.run.partial import ArrayTask, Unfinished
    from svtcli.train.commit_record import open_checkpoint
    from svtcli.train.held_out import open_held_out

    task = ArrayTask.from_flags(task_index, task_count)
    checkpoint = open_checkpoint(run, step, console.note)
    settings = replace(checkpoint.recipe.sample, **given)
    order = settings.schedule
    if "window" in given and order != "guess":
        what = f"--window {given['window']}: the schedule {order} has no window"
        raise Refused(what, "add --schedule guess")
    open_held_out(checkpoint, settings, clips)  # refuse before JAX is imported
    from svtcli.sample.actions import action_sets

    action_sets(checkpoint.recipe, settings)
    from svtcli.sample import stage as stage
    from svtcli.sample.plan import plan_samples

    plan = plan_samples(checkpoint, settings, clips, out)
    if dry_run:
        _show_plan(plan, task)
        return
    said: dict[str, object] = {"samples": str(plan.out), "dry_run": False}
    if task is None:
        stage.sample(plan, console.progress())
    else:
        ended = stage.sample_task(plan, console.progress(), task)
        if isinstance(ended, Unfinished):
            console.note(f"{ended.done} of {ended.of} videos are finished so far")
            said |= {"videos": ended.done, "of": ended.of}
    console.show(str(plan.out), said)


def _show_plan(plan: "SamplePlan", task: "ArrayTask | None") -> None:
    """Show the plan, one fact a line."""
    from svtcli.sample.stage import chosen_schedule, sampling_layout

    layout = sampling_layout(len(task.share(plan.videos)) if task else plan.videos)
    kinds = f"{layout.devices} x {layout.device_kinds[0]}"
    settings, kept = plan.settings, len(plan.partial.finished())
    so_far = f", {kept} of {plan.videos} videos are finished" if kept else ""
    schedule = chosen_schedule(plan)
    by_itself = " (auto)" if settings.schedule == "auto" else ""
    pixels = f", {schedule.window} pixels a pass" if schedule.window else ""
    clips = f"{len(plan.numbers)} of {plan.clips.name}, split {settings.split}"
    others = {
        name.replace("_", "-"): str(value)
        for name, value in non_default(settings).items()
        if name not in SHOWN
    }
    names = [each.name for each in plan.action_sets]
    under = f" under each of {len(names)} sets of actions" if names[1:] else ""
    if settings.actions:
        others = {"actions": ", ".join(names), **others}
    facts = {
        "writes to": str(plan.out),
        "checkpoint": plan.checkpoint.name,
        "clips": clips,
        "samples": f"{settings.per_prime} of each{under}, {plan.prime} prime "
        f"frame{'s' * (plan.prime > 1)}, {plan.frames - plan.prime} to sample",
        "temperature": f"{settings.temperature:g}, seed {settings.seed}",
        **others,
        "schedule": schedule.name + by_itself + pixels,
        "devices": kinds + (f", task {task.index} of {task.count}" if task else ""),
        "state": "already sampled" if plan.finished else f"to do{so_far}",
    }
    data = {
        "samples": str(plan.out),
        "checkpoint": plan.checkpoint.name,
        "dataset": plan.clips.name,
        **vars(settings),
        "count": len(plan.numbers),
        "prime": plan.prime,
        "frames": plan.frames,
        "overlap": plan.overlap,
        "schedule": schedule.name,
        "window": schedule.window,
        "devices": layout.devices,
        "finished": plan.finished,
        "kept": kept,
        "dry_run": True,
    }
    console.show(console.facts(facts), data)
