"""What every schedule begins and ends with: a slice that is to be made, and made."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8

from svtcli.model.decoder import Decoder, DecoderCache
from svtcli.model.priming import scored_frames
from svtcli.model.subscale import put_slice, take_slice
from svtcli.model.svt import SVT
from svtcli.sample.noise import slice_noise
from svtcli.sample.sampling_rule import Choice, choose


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
    no_logits: Float[Array, "B P *logits"]
    """Room for those of every position."""


class Making(NamedTuple):
    """What a loop over the positions of a slice carries."""

    cache: DecoderCache
    codes: UInt8[Array, "B P C"]
    logits: Float[Array, "B P *logits"]
    """That the codes were drawn from: `made_slice` makes nats of all at once."""

    @classmethod
    def begin(cls, slice_: Unmade) -> "Making":
        """Nothing is made but what is given."""
        return cls(slice_.cache, slice_.codes, slice_.no_logits)


def unmade_slice(
    model: SVT, codes: UInt8[Array, "B T H W C"], wanted: Wanted, *, first: bool
) -> Unmade:
    """Encode the context, and fill the caches with the given frames in one pass."""
    config, decoder = model.config, model.decoder_of(first=first)
    B, (t, h, w) = len(codes), config.slice_shape
    rows = jnp.full(B, wanted.slice_index)
    context = None if first else model.encoder(codes, rows, wanted.actions)
    placed = decoder.position_and_context(context)
    slice_codes = take_slice(codes, rows, config.s)
    _, cache = decoder.states(slice_codes, placed)
    placed = jnp.broadcast_to(placed, (B, t, h, w, config.d)).reshape(B, t * h * w, -1)
    known_frames = (
        t - scored_frames(config, wanted.slice_index[None], wanted.given).sum()
    )
    noise = slice_noise(wanted.keys, config, wanted.slice_index, wanted.first_frame)
    precise = jnp.promote_types(placed.dtype, jnp.float32)
    one = decoder.head.logits_shape(config)
    return Unmade(
        cache,
        placed,
        noise,
        slice_codes.reshape(B, t * h * w, -1),
        known_frames * h * w,
        jnp.zeros((B, t * h * w, *one), precise),
    )


def made_slice(
    decoder: Decoder,
    codes: UInt8[Array, "B T H W C"],
    wanted: Wanted,
    slice_: Unmade,
    made: Making,
    passes: Int[Array, " B"],
) -> Made:
    """The windows with all positions of the slice in them."""
    config = decoder.config
    B, t, h, w = len(codes), *config.slice_shape
    whole = put_slice(
        codes, made.codes.reshape(B, t, h, w, -1), wanted.slice_index, config.s
    )
    own = jnp.arange(t * h * w) >= slice_.start
    nats = jnp.where(own, decoder.head.nll(made.logits, made.codes), 0)
    return Made(whole, nats.reshape(B, t, h * w).sum(axis=-1), passes)


def make_pixels(
    decoder: Decoder,
    cache: DecoderCache,
    y: Float[Array, "R D"],
    noise: Float[Array, "R C V"],
    choice: Choice,
) -> tuple[UInt8[Array, "R C"], Float[Array, "R ..."]]:
    """The codes of pixels from their decoder states, and what they are drawn from."""
    return decoder.head.sample(
        y, lambda k, logits: choose(logits, noise[:, k], choice), cache.head
    )
