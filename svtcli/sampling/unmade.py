"""What every schedule begins with: a slice whose given frames alone are known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8

from svtcli.model.channels import IntensityHead
from svtcli.model.codes import codes_from_video
from svtcli.model.decoder import Decoder, DecoderCache
from svtcli.model.loss import code_nats, deterministic_nats
from svtcli.model.priming import scored_frames
from svtcli.model.subscale import take_slice
from svtcli.model.svt import SVT
from svtcli.sampling.noise import choose, slice_noise


class Unmade(NamedTuple):
    """Slice `index` of a batch of windows, its P positions in raster order."""

    cache: DecoderCache
    """Of the given positions; what it holds of the others is to be overwritten."""
    placed: Float[Array, "B P D"]
    """All that a state gets besides the slice's own codes."""
    noise: Float[Array, "B P C V"]
    codes: UInt8[Array, "B P C"]
    """As they are in the window: right up to `start`."""
    start: Int[Array, ""]
    """The first position that is not given."""


def unmade_slice(
    model: SVT,
    codes: UInt8[Array, "B T H W C"],
    index: Int[Array, ""],
    given: Int[Array, ""],
    first_frame: Int[Array, ""],
    keys: Key[Array, " B"],
    actions: Float[Array, "B T A"] | None,
    *,
    first: bool,
) -> Unmade:
    """Encode the context, and fill the caches with the given frames in one pass."""
    config, decoder = model.config, model.decoder_of(first=first)
    B, (t, h, w) = len(codes), config.slice_shape
    rows = jnp.full(B, index)
    context = None if first else model.encoder(codes, rows, actions)
    placed = decoder.place_context(context)
    slice_codes = take_slice(codes, rows, config.s)
    _, cache = decoder.states(slice_codes, placed)
    placed = jnp.broadcast_to(placed, (B, t, h, w, config.d)).reshape(B, t * h * w, -1)
    known_frames = t - scored_frames(config, index[None], given).sum()
    return Unmade(
        cache,
        placed,
        slice_noise(keys, config, index, first_frame),
        slice_codes.reshape(B, t * h * w, -1),
        known_frames * h * w,
    )


def make_pixels(
    decoder: Decoder,
    y: Float[Array, "R D"],
    noise: Float[Array, "R C V"],
    temperature: Float[Array, ""],
) -> tuple[UInt8[Array, "R C"], Float[Array, " R"]]:
    """The codes of pixels from their decoder states, and their nats."""
    config = decoder.config
    if isinstance(decoder.head, IntensityHead):
        brightest = 2**config.pixel_bits - 1
        logit = decoder.head(y)
        pixel = jnp.round(brightest * jax.nn.sigmoid(logit)).astype(jnp.uint8)
        codes = codes_from_video(pixel[:, None], config)
        return codes, deterministic_nats(logit, pixel, brightest)
    chosen, logits = decoder.head.generate(
        y, lambda k, logits: choose(logits, noise[:, k], temperature)
    )
    return chosen.astype(jnp.uint8), code_nats(logits, chosen)
