"""What a call of `svt train` will do, checked against clips, run and devices."""

import shlex
from dataclasses import dataclass

from svtcli.clips.loader import Batches, training_batches
from svtcli.clips.manifest import NAME as MANIFEST
from svtcli.clips.reader import Clips
from svtcli.failure import Refused
from svtcli.model.priming import slice_choices
from svtcli.model.svt import parameter_count
from svtcli.prepare.find_clips import clips_folder
from svtcli.recipe.library import shipped_recipes
from svtcli.recipe.load import LoadedRecipe
from svtcli.recipe.schema import Recipe
from svtcli.run.directory import RunFolder
from svtcli.train.check_clips import fitting_clips
from svtcli.train.checkpoint import latest_step, was_saved
from svtcli.train.mesh import Layout, layout_of
from svtcli.train.profile import refuse_short_profile
from svtcli.train.resume import changes_in
from svtcli.train.tensorboard import refuse_missing_tensorboard
from svtcli.train.validate import ValidationPlan, plan_validation


@dataclass(frozen=True)
class Plan:
    """What a call of `train` will do; making one checks everything that it needs."""

    recipe: Recipe
    run: RunFolder
    clips: Clips
    batches: Batches
    validation: ValidationPlan | None
    """None where the recipe wants none."""
    start: int
    """The newest checkpoint's step; 0 for a new run."""
    starts_over: bool
    """What training has written here before is of no use, and will be moved aside."""
    until: int
    profile: int
    """How many steps are traced."""
    parameters: int
    layout: Layout

    @property
    def device(self) -> str:
        """What it runs on, for people."""
        return self.layout.said


def plan_training(
    loaded: LoadedRecipe,
    run: RunFolder,
    stop_at: int | None = None,
    fresh: bool = False,
    profile: int = 0,
) -> Plan:
    """Check clips, model and run against each other; writes nothing.

    Errors: `Refused` for clips that are missing or do not fit, for a recipe that has
    changed in what matters, for more steps than the recipe has.
    """
    recipe, train = loaded.recipe, loaded.recipe.train
    if stop_at is not None and stop_at > train.steps:
        raise Refused(
            f"--steps {stop_at}: the recipe has {train.steps} steps",
            f"to train longer, set train.steps={stop_at}",
        )
    changes = [] if fresh else changes_in(run, recipe)
    if changes and was_saved(run.checkpoints):
        raise Refused(
            f"{run.path}: was trained with another recipe: {'; '.join(changes)}",
            "start another run with --run NAME, or this one over with --fresh",
        )
    if train.tensorboard:
        refuse_missing_tensorboard()
    layout = layout_of(recipe.mesh, train)
    start = 0 if fresh else latest_step(run.checkpoints) or 0
    refuse_short_profile(profile, (stop_at or train.steps) - start)
    clips = _open_clips(loaded)
    choices = slice_choices(recipe.model, train.prime, train.batch)
    batches = training_batches(
        clips,
        recipe.model.video[0],
        choices,
        train.seed,
        recipe.model.actions > 0,
        layout.own_rows(train.batch),
    )
    return Plan(
        recipe=recipe,
        run=run,
        clips=clips,
        batches=batches,
        validation=plan_validation(recipe, clips_folder(recipe.data, loaded.name)),
        start=start,
        starts_over=fresh or bool(changes),
        until=stop_at or train.steps,
        profile=profile,
        parameters=parameter_count(recipe.model),
        layout=layout,
    )


def _open_clips(loaded: LoadedRecipe) -> Clips:
    """The training clips; Refused when missing, or when the model cannot take them."""
    folder = clips_folder(loaded.recipe.data, loaded.name)
    if not (folder / MANIFEST).is_file():
        raise Refused(
            f"{folder}: no prepared clips here",
            f"make them with: {_prepare_command(loaded)}",
        )
    return fitting_clips(folder, loaded.recipe)


def _prepare_command(loaded: LoadedRecipe) -> str:
    """The command that makes this recipe's clips, ready to be pasted."""
    shipped = str(shipped_recipes().get(loaded.name)) == loaded.source
    recipe = loaded.name if shipped else loaded.source
    return shlex.join(["svt", "run", recipe, *loaded.overrides, "--to", "prepare"])
