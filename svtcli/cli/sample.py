"""`svt sample`: continue held-out clips, or one's own videos, with a trained model."""

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
    find_model,
    flag,
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
from svtcli.run.names import samples_argument, typed
from svtcli.run.progress import counted

if TYPE_CHECKING:
    from svtcli.clips.reader import Clips
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
        "What to sample (defaults: the recipe's)": CLIPS,
        "How to sample (defaults: the recipe's)": None,
        "Speed and memory (samples do not change)": NO_INFLUENCE,
    },
)
def sample(
    ckpt: Annotated[
        str,
        typer.Argument(
            metavar="CKPT",
            help="A run's name or folder, RUN@STEP, a checkpoint, or a model that "
            "ships with svt.",
            autocompletion=completion.checkpoints,
        ),
    ],
    data: ClipsAndSplit = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option(
            "--video",
            metavar="FILE",
            help="Continue this video instead of clips: any video file, a folder of "
            "numbered pictures, or a .npy of uint8 [T,H,W,C]; may be repeated.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the samples (default: one in the run's samples/).",
            rich_help_panel=WHERE,
        ),
    ] = None,
    task_index: TaskIndex = None,
    task_count: TaskCount = None,
    render: Annotated[
        bool | None,
        typer.Option(
            "--render/--no-render",
            help="Also draw the samples, as svt render does (default: only those of a "
            "model that ships with svt).",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
    **given: Any,
) -> None:
    """Sample continuations of held-out clips from a trained model.

    Samples are exact: each pixel is drawn from the model's distribution given the
    pixels before it. All devices of the machine take part. Re-run the same command to
    resume.

    For example: svt sample quickstart --prime 5 --temp 0.9

    With the model that ships with svt: svt sample demo

    To continue a video of your own: svt sample mine --video my.mp4

    To see what an action-conditioned model does under other actions:
    svt sample demo --actions own,zero,reverse
    """
    run, step = find_model(ckpt, dry_run)
    if videos:
        _refuse_clips(given, data)
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
    own: Clips | None = None
    if videos:
        from svtcli.prepare.own_videos import open_own

        whole = replace(settings, split="", subset=None, match="")
        settings = replace(whole, count=len(videos))
        own = open_own(videos, checkpoint.recipe, checkpoint.recipe.resolved(settings))
    else:
        open_held_out(checkpoint, settings, clips)  # refuse before JAX is imported
    from svtcli.sample.actions import action_sets

    action_sets(checkpoint.recipe, settings)
    from svtcli.sample import stage as stage
    from svtcli.sample.plan import plan_samples

    plan = plan_samples(checkpoint, settings, clips if own is None else own, out)
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
    pictures = _draw(plan) if _draws(render, ckpt) and plan.finished else ()
    if pictures:
        said["files"] = [str(path) for path in pictures]
    console.show("\n".join(map(str, (plan.out, *pictures))), said)
    if plan.finished:
        page = typed("svt", "open", samples_argument(plan.out))
        console.suggest("look at them in a browser", page)


def _refuse_clips(given: dict[str, Any], data: str | None) -> None:
    """Refuse flags that choose clips beside --video. Errors: Refused."""
    chosen = [name for name in ("split", "subset", "match", "count") if name in given]
    flags = [flag(name) for name in chosen] + (["--data"] if data else [])
    if flags:
        raise Refused(f"{flags[0]}: chooses clips; --video names the videos")


def _draws(render: bool | None, ckpt: str) -> bool:
    """Tell if samples are drawn: as asked, or of a shipped model."""
    from svtcli.run.directory import shipped_models

    return ckpt.partition("@")[0] in shipped_models() if render is None else render


def _draw(plan: "SamplePlan") -> tuple[Path, ...]:
    """Draw the samples by the recipe, unless that is done."""
    from svtcli.project.chain import draw_samples
    from svtcli.project.showing import send_results

    progress = console.progress()
    drawn = draw_samples(plan, plan.checkpoint.recipe.render, progress)
    send_results(plan.checkpoint.run, progress)
    return drawn


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
    clips = plan.clips.name
    if settings.split:
        clips = f"{len(plan.numbers)} of {clips}, split {settings.split}"
    if plan.clips.filtered:
        clips += f": {plan.clips.filtered}"
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
        "samples": f"{settings.per_prime} of each{under}, "
        f"{counted(plan.prime, 'prime frame')}, "
        f"{plan.frames - plan.prime} to sample",
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
