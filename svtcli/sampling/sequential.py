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

from svtcli.model.channels import IntensityHead
from svtcli.model.codes import codes_from_video
from svtcli.model.decoder import Decoder, DecoderCache
from svtcli.model.loss import code_nats, deterministic_nats
from svtcli.model.priming import scored_frames
from svtcli.model.subscale import put_slice, take_slice
from svtcli.model.svt import Params, network
from svtcli.recipe.model import Model
from svtcli.sampling.noise import choose, slice_noise


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
) -> tuple[UInt8[Array, "B T H W C"], Float[Array, "B t"]]:
    """The window's codes with slice `index` made, and the nats of each of its frames.

    The `given` first frames of the window are kept and cost nothing; all earlier slices
    must be there. Nats are the model's own, whatever the temperature. Compiles once for
    all slices (and once for a first slice with a decoder of its own).
    """
    model = network(graphdef, params)
    decoder = model.decoder_of(first=first)
    B, (t, h, w) = len(codes), config.slice_shape
    rows = jnp.full(B, index)
    context = None if first else model.encoder(codes, rows, actions)
    placed = decoder.place_context(context)
    slice_codes = take_slice(codes, rows, config.s)
    _, cache = decoder.states(slice_codes, placed)
    placed = jnp.broadcast_to(placed, (B, t, h, w, config.d)).reshape(B, t * h * w, -1)
    noise = slice_noise(keys, config, index, first_frame)

    def one_position(position: Int[Array, ""], so_far: _Progress) -> _Progress:
        y, cache = decoder.step(so_far.cache, placed[:, position], position)
        pixel, nats = _make_pixel(decoder, y, noise[:, position], temperature)
        return _Progress(
            decoder.remember(cache, pixel, position),
            so_far.codes.at[:, position].set(pixel.astype(jnp.uint8)),
            so_far.nats.at[:, position].set(nats),
        )

    known_frames = t - scored_frames(config, index[None], given).sum()
    nothing = jnp.zeros((B, t * h * w), placed.dtype)
    begin = _Progress(cache, slice_codes.reshape(B, t * h * w, -1), nothing)
    made = jax.lax.fori_loop(known_frames * h * w, t * h * w, one_position, begin)
    whole = put_slice(codes, made.codes.reshape(slice_codes.shape), index, config.s)
    return whole, made.nats.reshape(B, t, h * w).sum(axis=-1)


def _make_pixel(
    decoder: Decoder,
    y: Float[Array, "B D"],
    noise: Float[Array, "B C V"],
    temperature: Float[Array, ""],
) -> tuple[Int[Array, "B C"], Float[Array, " B"]]:
    """The codes of one pixel from its decoder state, and their nats."""
    config = decoder.config
    if isinstance(decoder.head, IntensityHead):
        brightest = 2**config.pixel_bits - 1
        logit = decoder.head(y)
        pixel = jnp.round(brightest * jax.nn.sigmoid(logit)).astype(jnp.uint8)
        codes = codes_from_video(pixel[:, None], config).astype(int)
        return codes, deterministic_nats(logit, pixel, brightest)
    codes, logits = decoder.head.generate(
        y, lambda k, logits: choose(logits, noise[:, k], temperature)
    )
    return codes, code_nats(logits, codes)
