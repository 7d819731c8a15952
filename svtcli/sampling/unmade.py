"""What every schedule begins and ends with: a slice that is to be made, and made."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8

from svtcli.model.channels import IntensityHead
from svtcli.model.codes import codes_from_video
from svtcli.model.decoder import Decoder, DecoderCache
from svtcli.model.loss import code_nats, deterministic_nats
from svtcli.model.priming import scored_frames
from svtcli.model.subscale import put_slice, take_slice
from svtcli.model.svt import SVT
from svtcli.recipe.model import Model
from svtcli.sampling.choice import Choice, choose
from svtcli.sampling.noise import slice_noise


class Wanted(NamedTuple):
    """Which slice is to be made in each video of a batch, and by what rules."""

    slice_index: Int[Array, ""]
    given: Int[Array, ""]
    """The first frames of the window, which are kept and cost nothing."""
    first_frame: Int[Array, ""]
    """Where the window begins in the video."""
    keys: Key[Array, " B"]
    choice: Choice
    actions: Float[Array, "B T A"] | None = None


class Made(NamedTuple):
    """A batch of windows with one slice more."""

    codes: UInt8[Array, "B T H W C"]
    nats: Float[Array, "B t"]
    """Of each frame of the slice: the model's own, however codes are chosen."""
    passes: Int[Array, " B"]
    """Of the decoder, that each video took."""


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


class Making(NamedTuple):
    """What a loop over the positions of a slice carries."""

    cache: DecoderCache
    codes: UInt8[Array, "B P C"]
    nats: Float[Array, "B P"]

    @classmethod
    def begin(cls, slice_: Unmade) -> "Making":
        """Nothing is made but what is given."""
        B, P, _ = slice_.placed.shape
        nothing = jnp.zeros((B, P), slice_.placed.dtype)
        return cls(slice_.cache, slice_.codes, nothing)


def unmade_slice(
    model: SVT, codes: UInt8[Array, "B T H W C"], wanted: Wanted, *, first: bool
) -> Unmade:
    """Encode the context, and fill the caches with the given frames in one pass."""
    config, decoder = model.config, model.decoder_of(first=first)
    B, (t, h, w) = len(codes), config.slice_shape
    rows = jnp.full(B, wanted.slice_index)
    context = None if first else model.encoder(codes, rows, wanted.actions)
    placed = decoder.place_context(context)
    slice_codes = take_slice(codes, rows, config.s)
    _, cache = decoder.states(slice_codes, placed)
    placed = jnp.broadcast_to(placed, (B, t, h, w, config.d)).reshape(B, t * h * w, -1)
    known_frames = (
        t - scored_frames(config, wanted.slice_index[None], wanted.given).sum()
    )
    return Unmade(
        cache,
        placed,
        slice_noise(wanted.keys, config, wanted.slice_index, wanted.first_frame),
        slice_codes.reshape(B, t * h * w, -1),
        known_frames * h * w,
    )


def made_slice(
    config: Model,
    codes: UInt8[Array, "B T H W C"],
    wanted: Wanted,
    pixels: UInt8[Array, "B P C"],
    nats: Float[Array, "B P"],
    passes: Int[Array, " B"],
) -> Made:
    """The windows with all positions of the slice in them."""
    B, t, h, w = len(codes), *config.slice_shape
    whole = put_slice(
        codes, pixels.reshape(B, t, h, w, -1), wanted.slice_index, config.s
    )
    return Made(whole, nats.reshape(B, t, h * w).sum(axis=-1), passes)


def make_pixels(
    decoder: Decoder,
    y: Float[Array, "R D"],
    noise: Float[Array, "R C V"],
    choice: Choice,
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
        y, lambda k, logits: choose(logits, noise[:, k], choice)
    )
    return chosen.astype(jnp.uint8), code_nats(logits, chosen)
