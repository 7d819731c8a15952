"""One slice, pixel by pixel with cached keys and values: the definition of a sample.

The given frames of the slice fill the caches in one parallel pass; then each position
is computed once, on the device, in one loop.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Int, UInt8

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
    jax.jit, static_argnames=("graphdef", "config", "first"), donate_argnames="codes"
)
def sample_slice(
    graphdef: nnx.GraphDef,
    params: Params,
    config: Model,
    codes: UInt8[Array, "B T H W C"],
    wanted: Wanted,
    *,
    first: bool = False,
) -> Made:
    """One slice of each video made, one pass of the decoder a pixel.

    All earlier slices must be there. Compiles once for all slices (and once for a first
    slice with a decoder of its own).
    """
    model = network(graphdef, params)
    decoder = model.decoder_of(first=first)
    slice_ = unmade_slice(model, codes, wanted, first=first)
    B, P, _ = slice_.placed.shape

    def one_position(position: Int[Array, ""], so_far: Making) -> Making:
        placed, noise = slice_.placed[:, position], slice_.noise[:, position]
        y, cache = decoder.step(so_far.cache, placed, position)
        pixel, logits = make_pixels(decoder, cache, y, noise, wanted.choice)
        return Making(
            decoder.remember(cache, pixel, position),
            so_far.codes.at[:, position].set(pixel),
            so_far.logits.at[:, position].set(logits),
        )

    made = jax.lax.fori_loop(slice_.start, P, one_position, Making.begin(slice_))
    passes = jnp.full(B, P - slice_.start)
    return made_slice(decoder, codes, wanted, slice_, made, passes)
