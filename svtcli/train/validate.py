"""Validation during training: the held-out clips, when they are scored, and how.

The score is that of `svt eval` for the same checkpoint and clips: frames, overlap and
precision are those of the recipe's `eval` section.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import PyTree

from svtcli.clips.held_out import (
    HeldOut,
    choose_clips,
    full_batches,
    open_fitting,
    read_clips,
    slices_per_batch,
)
from svtcli.clips.manifest import read_manifest
from svtcli.clips.reader import Clips
from svtcli.failure import Refused
from svtcli.model.likelihood import Score, Scorer, score
from svtcli.model.parameters import for_products_in
from svtcli.recipe.data import label_pattern
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe
from svtcli.train.memory import less_for_validation, within_memory
from svtcli.train.mesh import Layout
from svtcli.train.state import State, used_params

PREFERRED = ("val", "test")
"""Splits for `train.validate_split: null`, in order of preference."""


@dataclass(frozen=True)
class ValidationPlan:
    """Held-out clips for the validation of a recipe's model."""

    clips: Clips
    numbers: tuple[int, ...]
    """Numbers of the chosen clips in their split."""
    lengths: Lengths

    def __str__(self) -> str:
        return f"{len(self.numbers)} clips of {self.clips.split}"


@dataclass(frozen=True)
class Validation:
    """Validation score after each `every` steps."""

    every: int | None = None
    """None never validates."""
    score: Callable[[PyTree], float | None] = lambda params: None
    """Score of parameters; None if a signal cut it short."""
    missed: int | None = None
    """The restored step, if its process ended before validating it."""

    def due(self, step: int) -> bool:
        """Return True if the state after `step` steps is validated."""
        return self.every is not None and step % self.every == 0

    def of(self, state: State) -> float | None:
        """Score that `svt eval` gives for a checkpoint of `state`."""
        return self.score(used_params(state))


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


def make_validation(
    plan: ValidationPlan | None,
    recipe: Recipe,
    graphdef: nnx.GraphDef,
    layout: Layout,
    stopped: Callable[[], bool],
) -> Validation:
    """Read the clips into memory; scoring polls `stopped` between slices.

    The clips of a batch are scored on all devices of `layout` at once.
    """
    if plan is None:
        return Validation()
    lengths = plan.lengths
    held_out = read_clips(plan.clips, plan.numbers, lengths.frames, recipe.model)

    def on_slice() -> None:
        if stopped():
            raise _CutShortError

    def advice() -> str:
        return less_for_validation(recipe, len(plan.numbers), layout.devices)

    def score_params(params: PyTree) -> float | None:
        with within_memory("validation", advice):
            dtype = jnp.dtype(recipe.eval.precision)
            whole = for_products_in(graphdef, layout.whole_copy(params), dtype)
            places = layout.spread, layout.collected
            scorer = Scorer(recipe.model, graphdef, whole, *places)
            batch, devices = recipe.eval.batch, layout.devices
            try:
                return score_clips(
                    scorer, held_out, lengths, batch, on_slice, devices
                ).mean
            except _CutShortError:
                return None

    return Validation(recipe.train.validate_every, score_params)


def score_clips(
    scorer: Scorer,
    held_out: HeldOut,
    lengths: Lengths,
    batch: int,
    on_slice: Callable[[], None],
    devices: int = 1,
) -> Score:
    """Score of clips in memory, `batch` at a time, which does not change it.

    On several devices the batch is rounded up to a multiple of them. A test holds the
    score equal to that of `svt eval`, which can resume and so reads batch by batch.
    """
    nll = [
        scorer.frame_nll(
            held_out.video[rows],
            lengths.prime,
            lengths.overlap,
            None if held_out.actions is None else held_out.actions[rows],
            on_slice,
        )
        for rows in full_batches(len(held_out.video), batch, devices)
    ]
    scored = np.concatenate(nll)[: len(held_out.video)]
    return score(scored, lengths.prime, scorer.config)


class _CutShortError(Exception):
    """A signal was received during validation; caught in this module."""


def _held_out_split(folder: Path) -> str:
    splits = [name for name in read_manifest(folder).splits if name != "train"]
    if not splits:
        raise Refused(
            f"{folder}: has no held-out split, but train.validate_every is set",
            "name a split with train.validate_split, or set train.validate_every=null",
        )
    return next((name for name in PREFERRED if name in splits), splits[0])
