"""Prime frames (§4.1): scored frames of a slice, slices that are trained."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from svtcli.model.windows import frames_of_slices, scored_slices
from svtcli.recipe.model import Model


def scored_frames(
    config: Model, index: Int[Array, " B"], prime: Int[Array, ""] | int
) -> Bool[Array, "B t"]:
    """Mask of the frames of slice `index` that follow the `prime` first ones."""
    return jnp.asarray(frames_of_slices(config))[index] >= prime


def slice_choices(config: Model, prime: int, batch: int) -> tuple[tuple[int, ...], ...]:
    """Slices that each row of a training batch is drawn from, all equally likely.

    Slices without a scored pixel are never drawn. The first rows are first slices where
    these have a decoder of their own (`Model.first_rows`).
    """
    drawn = scored_slices(config, prime, config.video[0])
    first = config.first_rows(batch)
    rest = tuple(index for index in drawn if index or not first)
    return ((0,),) * first + (rest,) * (batch - first)
