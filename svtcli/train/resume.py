"""Whether a run may go on: what a recipe may change meanwhile, and starting over."""

from pathlib import Path
from typing import Any

from svtcli.recipe.schema import Recipe
from svtcli.recipe.setting import influential
from svtcli.run.directory import RunFolder

SECTIONS = ("model", "data", "train")
"""The rest of a recipe has no influence on training."""


def changes_in(run: RunFolder, recipe: Recipe) -> list[str]:
    """What `recipe` changes of what `run` was trained with; [] for a new run."""
    return changed(run.recipe(), recipe) if run.recipe_file.is_file() else []


def changed(before: Recipe, now: Recipe) -> list[str]:
    """What differs in what matters: `train.batch: 64 then, 32 now`, and so on."""
    then, today = _settings(before), _settings(now)
    # The steps shape a cosine; a constant rate does not know where it ends.
    free = {"train.steps"} if now.train.schedule == "constant" else set()
    return [
        f"{key}: {then.get(key, 'nothing')} then, {today.get(key, 'nothing')} now"
        for key in sorted(then.keys() | today.keys())
        if key not in free and then.get(key) != today.get(key)
    ]


def move_aside(run: RunFolder) -> Path | None:
    """Put what training has written in `run` into `earlier/1`, `earlier/2`, …

    None when there is nothing to move. Samples and figures stay where they are.
    """
    named = (run.checkpoints, run.metrics, run.tensorboard, run.profile)
    written = (*named, run.recipe_file, run.run_file)
    there = [path for path in written if path.exists()]
    if not there:
        return None
    shelf = run.path / "earlier"
    place = shelf / str(len(list(shelf.glob("*"))) + 1)
    place.mkdir(parents=True)
    for path in there:
        path.rename(place / path.name)
    return place


def _settings(recipe: Recipe) -> dict[str, Any]:
    """The keys that matter, dotted, with their values."""
    return {
        f"{section}.{key}": value
        for section in SECTIONS
        for key, value in influential(getattr(recipe, section)).items()
    }
