"""Validation during training: scores of held-out clips, and when they are taken.

The score is that of `svt eval` for the same checkpoint and clips: frames, overlap and
precision are those of the recipe's `eval` section.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, repeat

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float64, PyTree

from svtcli.clips.held_out import HeldOut, full_batches, read_clips
from svtcli.model.likelihood import Score, Scorer, score
from svtcli.model.parameters import for_products_in
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe
from svtcli.train.memory import less_for_validation, within_memory
from svtcli.train.mesh import Layout
from svtcli.train.plan import ValidationPlan
from svtcli.train.state import State, used_params


@dataclass(frozen=True)
class Validation:
    """Validation score after each `every` steps."""

    every: int | None = None
    """Steps between scores; None to never validate."""
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


def make_validation(
    plan: ValidationPlan | None,
    recipe: Recipe,
    graphdef: nnx.GraphDef,
    layout: Layout,
    stopped: Callable[[], bool],
    compiling: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Validation:
    """Read the clips into memory; scoring polls `stopped` between slices.

    The clips of a batch are scored on all devices of `layout` at once, for the first
    time inside `compiling`.
    """
    if plan is None:
        return Validation()
    lengths = plan.lengths
    held_out = read_clips(plan.clips, plan.numbers, lengths.frames, recipe.model)

    contexts: Iterator[AbstractContextManager[None]]
    contexts = chain((compiling(),), repeat(nullcontext()))

    def on_slice() -> None:
        if stopped():
            raise _CutShortError

    def advice() -> str:
        return less_for_validation(recipe, len(plan.numbers), layout.devices)

    def score_params(params: PyTree) -> float | None:
        with next(contexts), within_memory("validation", advice):
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
    on_slice: Callable[[], None] = lambda: None,
    devices: int = 1,
) -> Score:
    """Score of clips in memory; the arguments are those of `clip_nll`."""
    nll = clip_nll(scorer, held_out, lengths, batch, on_slice, devices)
    return score(nll, lengths.prime, scorer.config)


def clip_nll(
    scorer: Scorer,
    held_out: HeldOut,
    lengths: Lengths,
    batch: int,
    on_slice: Callable[[], None] = lambda: None,
    devices: int = 1,
) -> Float64[np.ndarray, "N F"]:
    """NLL in nats of each frame of clips in memory, `batch` clips at a time.

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
    return np.concatenate(nll)[: len(held_out.video)]


class _CutShortError(Exception):
    """A signal was received during validation; caught in this module."""
