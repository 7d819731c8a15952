"""Parallel sampling by the shortest exact schedule (appendix C).

Blocks and masks hide some pixels from others (`model.connectivity`). Pixels of one
level do not depend on each other, so one pass of the decoder gives them all.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32

from svtcli.model.connectivity import schedule
from svtcli.model.decoder import Decoder
from svtcli.recipe.model import Model
from svtcli.sample.slice_state import Carry, SliceStart, sample_pixels


@dataclass(frozen=True)
class Parallel:
    """One pass of the decoder a level."""

    name: str = "parallel"
    window: None = None

    def __call__(
        self, decoder: Decoder, start: SliceStart, *, first: bool
    ) -> tuple[Carry, Int[Array, " B"]]:
        B, plan = len(start.codes), _schedules(decoder.config, first)
        _, h, w = decoder.config.slice_shape
        prime_frames = start.start // (h * w)
        steps = jnp.asarray(plan.positions, int)[prime_frames]
        count = jnp.asarray(plan.counts)[prime_frames]

        def one_step(step: Int[Array, ""], carry: Carry) -> Carry:
            here = steps[step]
            runs = jnp.broadcast_to(here, (B, len(here)))  # of one position each
            added = start.position_and_context[:, here, None]
            y, cache = decoder.steps(carry.cache, added, runs)
            noise = start.noise[:, here].reshape(-1, *start.noise.shape[2:])
            pixels, logits = sample_pixels(
                decoder, cache, y.reshape(-1, y.shape[-1]), noise, start.inputs.rule
            )
            pixels = pixels.reshape(B, len(here), 1, -1)
            logits = logits.reshape(B, len(here), *logits.shape[1:])
            return Carry(
                decoder.remember_runs(cache, pixels, runs),
                carry.codes.at[:, here].set(pixels[:, :, 0]),
                carry.logits.at[:, here].set(logits),
            )

        carry = jax.lax.fori_loop(0, count, one_step, Carry.begin(decoder, start))
        return carry, jnp.full(B, count)


class _Schedules(NamedTuple):
    """Shortest schedules by number of prime frames, padded to one shape."""

    positions: Int32[np.ndarray, "t steps width"]
    counts: Int32[np.ndarray, " t"]
    """Steps of each schedule; the rest is padding."""


@lru_cache(maxsize=8)
def _schedules(config: Model, first: bool) -> _Schedules:
    t, h, w = config.slice_shape
    every = [schedule(config, prime * h * w, first=first) for prime in range(t)]
    steps, width = np.max([each.shape for each in every], axis=0)
    # A repeated position changes nothing: steps are filled up with their last one.
    padded = [
        np.pad(
            np.pad(each, ((0, 0), (0, width - each.shape[1])), "edge"),
            ((0, steps - len(each)), (0, 0)),
        )
        for each in every
    ]
    return _Schedules(np.stack(padded), np.array([len(e) for e in every], np.int32))
