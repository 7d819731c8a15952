"""One slice by its shortest schedule: pixels that cannot see each other, together.

Blocks and masks hide some pixels from others (appendix C, `model.connectivity`). Those
of one level do not depend on each other, so one pass of the decoder makes them all.
"""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Int, Int32, UInt8

from svtcli.model.connectivity import schedule
from svtcli.model.parameters import Params
from svtcli.model.svt import network
from svtcli.recipe.model import Model
from svtcli.sample.slice_state import (
    Made,
    Making,
    Wanted,
    made_slice,
    make_pixels,
    unmade_slice,
)


@partial(
    jax.jit,
    static_argnames=("graphdef", "config", "first"),
    donate_argnames="codes",
)
def sample_slice_in_steps(
    graphdef: nnx.GraphDef,
    params: Params,
    config: Model,
    codes: UInt8[Array, "B T H W C"],
    wanted: Wanted,
    *,
    first: bool = False,
) -> Made:
    """What `sequential.sample_slice` gives, by the fewest exact passes."""
    model = network(graphdef, params)
    decoder = model.decoder_of(first=first)
    slice_ = unmade_slice(model, codes, wanted, first=first)
    B, plan = len(codes), _schedules(config, first)
    _, h, w = config.slice_shape
    given_frames = slice_.start // (h * w)
    steps = jnp.asarray(plan.positions, int)[given_frames]
    number = jnp.asarray(plan.numbers)[given_frames]

    def one_step(step: Int[Array, ""], so_far: Making) -> Making:
        here = steps[step]
        runs = jnp.broadcast_to(here, (B, len(here)))  # of one position each
        y, cache = decoder.steps(so_far.cache, slice_.placed[:, here, None], runs)
        pixels, logits = make_pixels(
            decoder,
            cache,
            y.reshape(-1, y.shape[-1]),
            slice_.noise[:, here].reshape(-1, *slice_.noise.shape[2:]),
            wanted.choice,
        )
        pixels = pixels.reshape(B, len(here), 1, -1)
        return Making(
            decoder.remember_runs(cache, pixels, runs),
            so_far.codes.at[:, here].set(pixels[:, :, 0]),
            so_far.logits.at[:, here].set(
                logits.reshape(B, len(here), *logits.shape[1:])
            ),
        )

    made = jax.lax.fori_loop(0, number, one_step, Making.begin(slice_))
    passes = jnp.full(B, number)
    return made_slice(decoder, codes, wanted, slice_, made, passes)


class _Schedules(NamedTuple):
    """The shortest schedule for every number of given frames, one shape for all."""

    positions: Int32[np.ndarray, "t steps width"]
    numbers: Int32[np.ndarray, " t"]
    """How many of the steps there are; what follows is not to be read."""


@lru_cache(maxsize=8)
def _schedules(config: Model, first: bool) -> _Schedules:
    t, h, w = config.slice_shape
    all_ = [schedule(config, given * h * w, first=first) for given in range(t)]
    steps, width = np.max([each.shape for each in all_], axis=0)
    # A position more than once changes nothing: filled up with the last of the step.
    alike = [
        np.pad(
            np.pad(each, ((0, 0), (0, width - each.shape[1])), "edge"),
            ((0, steps - len(each)), (0, 0)),
        )
        for each in all_
    ]
    return _Schedules(np.stack(alike), np.array([len(each) for each in all_], np.int32))
