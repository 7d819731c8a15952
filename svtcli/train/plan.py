"""Plan of a training run, checked against its clips and run folder; no jax here."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svtcli.clips.format import MANIFEST, read_manifest, refuse_unfinished
from svtcli.clips.held_out import (
    choose_clips,
    model_misfits,
    open_fitting,
    slices_per_batch,
)
from svtcli.clips.reader import Clips, open_clips
from svtcli.failure import Failure, Refused
from svtcli.model.windows import check_lengths
from svtcli.prepare.plan import spec_of
from svtcli.recipe.data import clips_folder
from svtcli.recipe.labels import label_pattern
from svtcli.recipe.load import LoadedRecipe
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe, Train
from svtcli.recipe.setting import influential, written
from svtcli.run.directory import RunFolder, read_run
from svtcli.run.durable import fingerprint
from svtcli.run.metrics_log import end_of, read_rows
from svtcli.run.names import recipe_command
from svtcli.run.progress import counted
from svtcli.train.commit_record import latest_step, was_saved
from svtcli.train.trackers import require_packages

PREFERRED = ("val", "test")
"""Splits for `train.validate_split: null`, in order of preference."""
UNTRACED_STEPS = 3
"""Steps before a profiler trace begins: the first ones are slower than all others."""
SECTIONS = ("model", "data", "train")
"""Sections of a recipe that training depends on."""


@dataclass(frozen=True)
class ValidationPlan:
    """Held-out clips for the validation of a recipe's model."""

    clips: Clips
    numbers: tuple[int, ...]
    """Numbers of the chosen clips in their split."""
    lengths: Lengths

    def __str__(self) -> str:
        return f"{counted(len(self.numbers), 'clip')} of {self.clips.split}"


@dataclass(frozen=True)
class TrainPlan:
    """A checked call of `train`."""

    loaded: LoadedRecipe
    run: RunFolder
    clips: Clips
    validation: ValidationPlan | None
    """None if the recipe asks for no validation."""
    start: int
    """Step of the newest checkpoint; 0 for a new run."""
    starts_over: bool
    """True if earlier training in this folder cannot be resumed and is moved aside."""
    until: int
    profile: int
    """Number of steps to trace."""

    @property
    def recipe(self) -> Recipe:
        """The recipe, with its overrides."""
        return self.loaded.recipe


def plan_training(
    loaded: LoadedRecipe,
    run: RunFolder,
    stop_at: int | None = None,
    fresh: bool = False,
    profile: int = 0,
) -> TrainPlan:
    """Check recipe, clips and run folder against each other; writes nothing.

    Errors: Refused for clips that are missing or do not fit, for a recipe that has
    changed since the run began, for more steps than the recipe has.
    """
    recipe, train = loaded.recipe, loaded.recipe.train
    if stop_at is not None and stop_at > train.steps:
        raise Refused(
            f"--steps {stop_at}: the recipe has {counted(train.steps, 'step')}",
            f"to train longer, set train.steps={stop_at}",
        )
    changes = [] if fresh else refuse_changes(loaded, run)
    require_packages(train.log)
    starts_over = fresh or bool(changes)
    if not starts_over:
        read_rows(run.metrics)  # refuses a damaged log
    start = 0 if fresh else latest_step(run.checkpoints) or 0
    until = stop_at or train.steps
    _refuse_short_profile(profile, until - start)
    folder = clips_folder(recipe.data, loaded.name)
    if not (folder / MANIFEST).is_file():
        refuse_unfinished(folder)
        prepare = recipe_command("run", loaded, None, "--to", "prepare")
        raise Refused(
            f"{folder}: no prepared clips here", f"prepare them with: {prepare}"
        )
    return TrainPlan(
        loaded=loaded,
        run=run,
        clips=check_clips(folder, recipe),
        validation=plan_validation(recipe, folder),
        start=start,
        starts_over=starts_over,
        until=until,
        profile=profile,
    )


def check(recipe: Recipe, clips: Path | None = None) -> None:
    """Refuse what training refuses on any devices, with the `clips` if they are given.

    Errors: Refused.
    """
    train, mesh = recipe.train, recipe.mesh
    require_packages(train.log)
    # Where devices are counted later, there are at least those of one group.
    refuse_uneven(train, max(mesh.data, 1), mesh.shard, 1)
    if clips is not None:
        check_clips(clips, recipe)
    if train.validate_every is not None:
        check_lengths(recipe.model, **vars(recipe.resolved(recipe.eval)))


def refuse_uneven(train: Train, data: int, shard: int, most: int) -> None:
    """Refuse micro-batches that do not divide evenly among the devices.

    `most` groups of devices are known to be here. Errors: Refused.
    """
    rows, devices = train.batch // train.accumulate, data * shard
    if rows % devices == 0:
        return
    batch = f"train.batch={train.batch}"
    if train.accumulate > 1:
        batch += f" in train.accumulate={train.accumulate} micro-batches of {rows}"
    fit = devices * train.accumulate
    hint = f"train.batch={fit * max(1, round(train.batch / fit))} can"
    if rows % shard == 0:
        hint += f", and so can mesh.data={divisor(rows // shard, most)}"
    raise Refused(
        f"mesh of {counted(devices, 'device')}: {batch} cannot be divided evenly "
        "among them",
        hint,
    )


def divisor(number: int, most: int) -> int:
    """Largest divisor of `number` that is at most `most`."""
    return next(each for each in range(most, 0, -1) if number % each == 0)


def refuse_changes(loaded: LoadedRecipe, run: RunFolder) -> list[str]:
    """Differences between the recipe and that of an untrained run, as `changes_in`.

    Errors: Refused where the run has been trained with another recipe.
    """
    changes = changes_in(run, loaded.recipe)
    if changes and was_saved(run.checkpoints):
        raise Refused(
            f"{run.path}: was trained with another recipe: {'; '.join(changes)}",
            "start another run with --run NAME, or start this one over with: "
            f"{recipe_command('train', loaded, run, '--fresh')}",
        )
    return changes


def check_clips(folder: Path, recipe: Recipe) -> Clips:
    """Training clips in `folder`, if they are those that the recipe describes.

    Errors: Refused with every difference; and those of `open_clips`.
    """
    clips = open_clips(folder, "train")
    fitting = model_misfits(clips, recipe.model)
    if misfits := [*fitting, *_other_settings(folder, recipe)]:
        other = "name another folder with data.clips=FOLDER, and prepare them there"
        alone = len(misfits) == len(fitting)
        raise Refused(
            f"{folder}: clips do not fit the recipe: {'; '.join(misfits)}",
            f"set {' '.join(fitting.values())}, or {other}" if alone else other,
        )
    return clips


def plan_validation(recipe: Recipe, folder: Path) -> ValidationPlan | None:
    """Choose held-out clips in `folder`; None if the recipe asks for no validation.

    Errors: Refused without a held-out split, or if the model cannot take its clips.
    """
    train, settings = recipe.train, recipe.eval
    if train.validate_every is None:
        return None
    split = train.validate_split or _held_out_split(folder)
    labels = label_pattern(settings.subset, settings.match)
    clips = open_fitting(folder, split, recipe, labels)
    lengths = recipe.resolved(settings)
    slices_per_batch(recipe.model, lengths)  # refuses a misfit
    numbers = choose_clips(clips, lengths.frames, train.validate_clips)
    return ValidationPlan(clips, numbers, lengths)


def changes_in(run: RunFolder, recipe: Recipe) -> list[str]:
    """Differences between `recipe` and the one `run` was trained with; [] if new."""
    if not run.recipe_file.is_file():
        return []
    # Of recipe.yaml and run.json one may be damaged: training writes both anew.
    with suppress(Failure):
        if read_run(run).recipe_fingerprint == fingerprint(recipe):
            return []
    done = latest_step(run.checkpoints) or 0
    return changed(run.unchecked_recipe(), recipe, done)


def changed(before: Recipe, now: Recipe, done: int) -> list[str]:
    """Differences that `done` steps depend on: `train.batch: was 64, now 32`, …

    The end of a training may change until its learning rate begins to decay.
    """
    then, today = _settings(before), _settings(now)
    starts = (before.train.decay_start, now.train.decay_start)
    free = {"train.steps", "train.schedule", "train.cooldown"}
    if any(start is not None and done > start for start in starts):
        free = set()
    return [
        f"{key}: was {written(then.get(key, 'unset'))}, "
        f"now {written(today.get(key, 'unset'))}"
        for key in sorted(then.keys() | today.keys())
        if key not in free and then.get(key) != today.get(key)
    ]


def move_aside(run: RunFolder) -> Path | None:
    """Move everything that training wrote in `run` into `earlier/1`, `earlier/2`, …

    None if there is nothing to move. Samples and figures stay where they are.
    """
    logs = (run.metrics, end_of(run.metrics), run.tensorboard, run.wandb, run.profile)
    written = (run.checkpoints, *logs, run.recipe_file, run.run_file)
    there = [path for path in written if path.exists()]
    if not there:
        return None
    shelf = run.path / "earlier"
    place = shelf / str(len(list(shelf.glob("*"))) + 1)
    place.mkdir(parents=True)
    for path in there:
        path.rename(place / path.name)
    return place


def _held_out_split(folder: Path) -> str:
    splits = [name for name in read_manifest(folder).splits if name != "train"]
    if not splits:
        raise Refused(
            f"{folder}: has no held-out split, but train.validate_every is set",
            "name a split with train.validate_split, or set train.validate_every=null",
        )
    return next((name for name in PREFERRED if name in splits), splits[0])


def _refuse_short_profile(steps: int, left: int) -> None:
    """Refuse a trace of more steps than remain after the untraced ones."""
    if steps and steps + UNTRACED_STEPS > left:
        traceable = left - UNTRACED_STEPS
        raise Refused(
            f"--profile {steps}: only {counted(left, 'step')} left, and the first "
            f"{UNTRACED_STEPS} are not traced",
            f"ask for at most {traceable}" if traceable > 0 else None,
        )


def _other_settings(folder: Path, recipe: Recipe) -> Iterator[str]:
    """Settings that differ between the prepared clips and the recipe."""
    there = read_manifest(folder).spec
    for key, wanted in spec_of(recipe.data).items():
        if key in there and there[key] != wanted:
            yield f"prepared with {key} {there[key]}, data.{key} is {wanted}"


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Dotted keys that training depends on, with their values."""
    return {
        f"{section}.{key}": value
        for section in SECTIONS
        for key, value in influential(getattr(recipe, section)).items()
    }
