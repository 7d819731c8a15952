"""Given frames (§4.1): which pixels of a slice are scored, which slices are trained."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from svtcli.model.subscale import slice_offsets
from svtcli.recipe.model import Model


def slice_frames(config: Model, index: Int[Array, " B"]) -> Int[Array, "B t"]:
    """The video frames that slice `index` holds: a, a+st, a+2·st, …"""
    first = jnp.asarray(slice_offsets(config.s)[:, 0])[index]
    steps = config.s[0] * np.arange(config.slice_shape[0])
    return first[:, None] + steps


def scored_frames(
    config: Model, index: Int[Array, " B"], given: Int[Array, ""] | int
) -> Bool[Array, "B t"]:
    """Which frames of slice `index` come after the `given` ones."""
    return slice_frames(config, index) >= given


def slices_to_make(config: Model, given: int, stop: int) -> tuple[int, ...]:
    """The slices, in order, that hold a frame of given … stop−1."""
    st, (t, _, _) = config.s[0], config.slice_shape
    offsets = slice_offsets(config.s)[:, 0]
    frames = offsets[:, None] + st * np.arange(t)
    made = ((frames >= given) & (frames < stop)).any(axis=1)
    return tuple(int(index) for index in np.flatnonzero(made))


def first_slices(config: Model, batch: int) -> int:
    """How many rows of a training batch are first slices with their own decoder."""
    return config.first_rows(batch)


def slice_choices(config: Model, prime: int, batch: int) -> tuple[tuple[int, ...], ...]:
    """For each row of a batch, the slices it may be drawn from, all equally likely.

    Slices without a scored pixel are never drawn. The first rows are the first slice
    when it has a decoder of its own.
    """
    drawn = slices_to_make(config, prime, config.video[0])
    first = first_slices(config, batch)
    rest = tuple(index for index in drawn if index or not first)
    return ((0,),) * first + (rest,) * (batch - first)
