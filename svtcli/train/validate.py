"""Which held-out clips a run is scored on while it is trained, and their scoring.

The score is that of `svt eval` for the same checkpoint and clips: its frames, overlap
and precision are those of the recipe's section `eval`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jaxtyping import PyTree

from svtcli.clips.held_out import (
    choose_clips,
    open_fitting,
    read_clips,
    slices_per_batch,
)
from svtcli.clips.manifest import read_manifest
from svtcli.clips.reader import Clips
from svtcli.failure import Refused
from svtcli.model.likelihood import Scorer
from svtcli.model.svt import for_products_in
from svtcli.recipe.data import label_pattern
from svtcli.recipe.schema import Recipe
from svtcli.train.memory_advice import less_for_validation, within_memory
from svtcli.train.mesh import Layout
from svtcli.train.score_clips import score_clips
from svtcli.train.validation_times import NO_VALIDATION, Validation

PREFERRED = ("val", "test")
"""What `train.validate_split` None takes, the first that the clips have."""


@dataclass(frozen=True)
class ValidationPlan:
    """Held-out clips that a recipe's model can be scored on."""

    clips: Clips
    numbers: tuple[int, ...]
    """Which clips of the split are taken."""
    prime: int
    frames: int
    overlap: int

    def __str__(self) -> str:
        return f"{len(self.numbers)} clips of {self.clips.split}"


def plan_validation(recipe: Recipe, folder: Path) -> ValidationPlan | None:
    """Check the clips in `folder`; None where the recipe wants no validation.

    Errors: Refused without a held-out split, or when the model cannot take its clips.
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
    return ValidationPlan(clips, numbers, **vars(lengths))


def make_validation(
    plan: ValidationPlan | None,
    recipe: Recipe,
    graphdef: nnx.GraphDef,
    layout: Layout,
    cut_short: Callable[[], bool],
) -> Validation:
    """Read the clips, once; `cut_short` is asked between slices.

    The clips of a batch are scored side by side, on all devices of `layout`.
    """
    if plan is None:
        return NO_VALIDATION
    held_out = read_clips(plan.clips, plan.numbers, plan.frames, recipe.model)

    def go_on() -> None:
        if cut_short():
            raise _CutShortError

    def needs_less() -> str:
        return less_for_validation(recipe, len(plan.numbers), layout.devices)

    def score(params: PyTree) -> float | None:
        with within_memory("validation", needs_less):
            return scored(params)

    def scored(params: PyTree) -> float | None:
        dtype = jnp.dtype(recipe.eval.precision)
        whole = for_products_in(layout.whole_copy(params), dtype)
        scorer = Scorer(recipe.model, graphdef, whole, layout.spread, layout.collected)
        shape = plan.prime, plan.overlap, recipe.eval.batch
        try:
            return score_clips(scorer, held_out, *shape, go_on, layout.devices).mean
        except _CutShortError:
            return None

    return Validation(recipe.train.validate_every, score)


class _CutShortError(Exception):
    """A signal was received; never leaves this file."""


def _held_out_split(folder: Path) -> str:
    splits = [name for name in read_manifest(folder).splits if name != "train"]
    if not splits:
        raise Refused(
            f"{folder}: has no held-out split, but train.validate_every is set",
            "name a split with train.validate_split, or set train.validate_every=null",
        )
    return next((name for name in PREFERRED if name in splits), splits[0])
