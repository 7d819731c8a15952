"""One slice, pixel by pixel with cached keys and values: the definition of a sample.

The given frames of the slice fill the caches in one parallel pass; then each position
is computed once, on the device, in one loop.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key, UInt8

from svtcli.model.decoder import DecoderCache
from svtcli.model.subscale import put_slice
from svtcli.model.svt import Params, network
from svtcli.recipe.model import Model
from svtcli.sampling.unmade import make_pixels, unmade_slice


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
    index: Int[Array, ""],
    given: Int[Array, ""],
    first_frame: Int[Array, ""],
    keys: Key[Array, " B"],
    temperature: Float[Array, ""],
    actions: Float[Array, "B T A"] | None = None,
    *,
    first: bool = False,
) -> tuple[UInt8[Array, "B T H W C"], Float[Array, "B t"], Int[Array, " B"]]:
    """The window's codes with slice `index` made, the nats of each of its frames, and
    the passes of the decoder that each video took: one a pixel.

    The `given` first frames of the window are kept and cost nothing; all earlier slices
    must be there. Nats are the model's own, whatever the temperature. Compiles once for
    all slices (and once for a first slice with a decoder of its own).
    """
    model = network(graphdef, params)
    decoder = model.decoder_of(first=first)
    slice_ = unmade_slice(
        model, codes, index, given, first_frame, keys, actions, first=first
    )
    B, P, _ = slice_.placed.shape

    def one_position(position: Int[Array, ""], so_far: _Progress) -> _Progress:
        placed, noise = slice_.placed[:, position], slice_.noise[:, position]
        y, cache = decoder.step(so_far.cache, placed, position)
        pixel, nats = make_pixels(decoder, y, noise, temperature)
        return _Progress(
            decoder.remember(cache, pixel, position),
            so_far.codes.at[:, position].set(pixel),
            so_far.nats.at[:, position].set(nats),
        )

    nothing = jnp.zeros((B, P), slice_.placed.dtype)
    begin = _Progress(slice_.cache, slice_.codes, nothing)
    made = jax.lax.fori_loop(slice_.start, P, one_position, begin)
    whole = made.codes.reshape(B, *config.slice_shape, -1)
    frames = made.nats.reshape(B, config.slice_shape[0], -1).sum(axis=-1)
    passes = jnp.full(B, P - slice_.start)
    return put_slice(codes, whole, index, config.s), frames, passes
