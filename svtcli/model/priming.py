"""Prime frames (§4.1): scored frames of a slice, slices that are trained."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from svtcli.model.subscale import slice_offsets
from svtcli.recipe.model import Model


def frames_of_slices(config: Model) -> Int[np.ndarray, "S t"]:
    """Frames of the window that each slice holds: a, a+st, a+2·st, …"""
    first = slice_offsets(config.s)[:, :1]
    return first + config.s[0] * np.arange(config.slice_shape[0])


def scored_frames(
    config: Model, index: Int[Array, " B"], prime: Int[Array, ""] | int
) -> Bool[Array, "B t"]:
    """Mask of the frames of slice `index` that follow the `prime` first ones."""
    return jnp.asarray(frames_of_slices(config))[index] >= prime


def scored_slices(config: Model, prime: int, stop: int) -> tuple[int, ...]:
    """Slices, in order, with a frame among prime … stop−1 of the window."""
    frames = frames_of_slices(config)
    scored = ((frames >= prime) & (frames < stop)).any(axis=1)
    return tuple(int(index) for index in np.flatnonzero(scored))


def slice_choices(config: Model, prime: int, batch: int) -> tuple[tuple[int, ...], ...]:
    """Slices that each row of a training batch is drawn from, all equally likely.

    Slices without a scored pixel are never drawn. The first rows are first slices where
    these have a decoder of their own (`Model.first_rows`).
    """
    drawn = scored_slices(config, prime, config.video[0])
    first = config.first_rows(batch)
    rest = tuple(index for index in drawn if index or not first)
    return ((0,),) * first + (rest,) * (batch - first)
