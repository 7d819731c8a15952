"""One slice, pixel by pixel with cached keys and values: the definition of a sample.

The given frames of the slice fill the caches in one parallel pass; then each position
is computed once, on the device, in one loop.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from svtcli.model.decoder import DecoderCache
from svtcli.model.svt import Params, network
from svtcli.recipe.model import Model
from svtcli.sampling.unmade import (
    Made,
    Wanted,
    made_slice,
    make_pixels,
    unmade_slice,
)


class _Progress(NamedTuple):
    """What the loop over positions carries."""

    cache: DecoderCache
    codes: UInt8[Array, "B P C"]
    nats: Float[Array, "B P"]


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

    def one_position(position: Int[Array, ""], so_far: _Progress) -> _Progress:
        placed, noise = slice_.placed[:, position], slice_.noise[:, position]
        y, cache = decoder.step(so_far.cache, placed, position)
        pixel, nats = make_pixels(decoder, y, noise, wanted.choice)
        return _Progress(
            decoder.remember(cache, pixel, position),
            so_far.codes.at[:, position].set(pixel),
            so_far.nats.at[:, position].set(nats),
        )

    nothing = jnp.zeros((B, P), slice_.placed.dtype)
    begin = _Progress(slice_.cache, slice_.codes, nothing)
    made = jax.lax.fori_loop(slice_.start, P, one_position, begin)
    passes = jnp.full(B, P - slice_.start)
    return made_slice(config, codes, wanted, made.codes, made.nats, passes)
