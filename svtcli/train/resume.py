"""Whether a run may go on: what a recipe may change meanwhile, and starting over."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from svtcli.recipe.schema import Recipe
from svtcli.run.directory import RunFolder

SECTIONS = ("model", "data", "train")
"""The rest of a recipe has no influence on training."""
FREE = {
    "train.steps",
    "train.keep",
    "train.keep_every",
    "train.save_every",
    "train.log_every",
    "train.validate_every",
    "train.validate_split",
    "train.validate_clips",
    "train.tensorboard",
    # Neither changes what is computed, but for the order of sums.
    "train.remat",
    "train.accumulate",
    # Where files stand; that they hold the same is checked by their fingerprint.
    "data.source",
    "data.clips",
}


def changes_in(run: RunFolder, recipe: Recipe) -> list[str]:
    """What `recipe` changes of what `run` was trained with; [] for a new run."""
    return changed(run.recipe(), recipe) if run.recipe_file.is_file() else []


def changed(before: Recipe, now: Recipe) -> list[str]:
    """What differs in what matters: `train.batch: 64 then, 32 now`, and so on."""
    then, today = _settings(before), _settings(now)
    # The steps shape a cosine; a constant rate does not know where it ends.
    free = FREE if now.train.schedule == "constant" else FREE - {"train.steps"}
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
    sections = asdict(recipe)
    return dict(
        pair for section in SECTIONS for pair in _flat(section, sections[section])
    )


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    else:
        yield key, value
