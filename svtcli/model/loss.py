"""Nats of scored pixels: what training lowers and evaluation reports (eq. 9, A.1)."""

from collections.abc import Callable
from functools import partial
from math import log
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Integer, UInt8

from svtcli.model.codes import codes_from_video
from svtcli.model.priming import scored_frames
from svtcli.model.subscale import take_slice
from svtcli.model.svt import SVT, Params, network
from svtcli.recipe.model import Model


def code_nats(
    logits: Float[Array, "*any C V"], codes: Integer[Array, "*any C"]
) -> Float[Array, "*any"]:
    """−Σ over the codes of a pixel of ln p(code); at least float32."""
    logits = _precise(logits)
    # A product with the one-hot code: the gradient of a look-up is a slow scatter.
    one_hot = jax.nn.one_hot(codes, logits.shape[-1], dtype=logits.dtype)
    nats = jax.nn.logsumexp(logits, axis=-1) - (logits * one_hot).sum(-1)
    return nats.sum(axis=-1)


def deterministic_nats(
    logit: Float[Array, "*any"], pixel: UInt8[Array, "*any"], brightest: int
) -> Float[Array, "*any"]:
    """H(z, y) = −[z ln y + (1−z) ln(1−y)], z = pixel / brightest, y = σ(logit)."""
    logit = _precise(logit)
    z = pixel.astype(logit.dtype) / brightest
    return z * jax.nn.softplus(-logit) + (1 - z) * jax.nn.softplus(logit)


def slice_nats(
    model: SVT,
    video: UInt8[Array, "B T H W I"],
    index: Int[Array, " B"],
    actions: Float[Array, "B T A"] | None = None,
    *,
    first: bool = False,
    remat: bool = False,
) -> Float[Array, "B t h w"]:
    """Nats of every pixel of slice `index`, given ones included."""
    config = model.config
    codes = codes_from_video(video, config)
    logits = model(codes, index, actions, first=first, remat=remat)
    if config.loss == "deterministic":
        pixels = take_slice(video, index, config.s)[..., 0]
        return deterministic_nats(logits, pixels, 2**config.pixel_bits - 1)
    return code_nats(logits, take_slice(codes, index, config.s))


class Rows(NamedTuple):
    """A batch of slices, and what each of their frames counts."""

    video: UInt8[Array, "B T H W I"]
    slice_index: Int[Array, " B"]
    actions: Float[Array, "B T A"] | None
    weight: Float[Array, "B t"]


AddUp = Callable[[Callable[..., Float[Array, ""]], int, Params, Rows], Array]
"""(nats, n, params, rows) -> nats(n, params, rows), as the devices can do it best."""


def in_one_piece(
    nats: Callable[..., Float[Array, ""]], first: int, params: Params, rows: Rows
) -> Float[Array, ""]:
    """What `nats` says: the `AddUp` of one device, and of rows that are all alike."""
    return nats(first, params, rows)


def training_loss(
    graphdef: nnx.GraphDef,
    params: Params,
    config: Model,
    prime: int,
    video: UInt8[Array, "B T H W I"],
    slice_index: Int[Array, " B"],
    actions: Float[Array, "B T A"] | None = None,
    *,
    remat: bool = False,
    add_up: AddUp = in_one_piece,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean nats per scored code of a batch of slices, and the score they amount to.

    The score is bits/dim, or nats/frame with the deterministic loss. Rows are laid out
    as `priming.slice_choices` says; first slices that have their own decoder count as
    much as their true share of all slices.
    """
    scored = scored_weight(config, prime, slice_index)
    rows = Rows(video, slice_index, actions, scored)
    nats = partial(scored_nats, graphdef, remat)
    total = add_up(nats, config.first_rows(len(video)), params, rows)
    _, h, w = config.slice_shape
    pixels = scored.sum() * h * w
    return total / (pixels * codes_scored(config)), total / pixels * score_unit(config)


def scored_nats(
    graphdef: nnx.GraphDef, remat: bool, first: int, params: Params, rows: Rows
) -> Float[Array, ""]:
    """Σ of weighted nats; the `first` rows are of the first slice's own decoder."""
    model = network(graphdef, params)

    def nats(some: slice, *, first: bool) -> Float[Array, "some t h w"]:
        video, index, actions, _ = jax.tree.map(lambda each: each[some], rows)
        return slice_nats(model, video, index, actions, first=first, remat=remat)

    if first == len(rows.video):
        found = nats(slice(None), first=True)
    else:
        found = nats(slice(first, None), first=False)
        if first:
            own = nats(slice(first), first=True)
            found = jnp.concatenate([own, found])
    return (found * rows.weight[:, :, None, None]).sum()


def scored_weight(
    config: Model, prime: int, slice_index: Int[Array, " B"]
) -> Float[Array, "B t"]:
    """What each frame of a batch of slices counts; nothing if it is given."""
    B, n = len(slice_index), config.first_rows(len(slice_index))
    weight = jnp.ones(B)
    if n:
        share = 1 / config.slices
        weight = jnp.where(jnp.arange(B) < n, share * B / n, (1 - share) * B / (B - n))
    return scored_frames(config, slice_index, prime) * weight[:, None]


def codes_scored(config: Model) -> int:
    """Scored numbers per pixel: its codes, or its one intensity."""
    return 1 if config.loss == "deterministic" else config.codes


def score_unit(config: Model) -> float:
    """What a mean of nats per pixel is multiplied by to give bits/dim or nats/frame."""
    if config.loss == "deterministic":
        return float(config.video[1] * config.video[2])
    return 1 / (log(2) * config.channels)


def score_name(config: Model) -> str:
    """`bits_per_dim` or `nats_per_frame`."""
    return "nats_per_frame" if config.loss == "deterministic" else "bits_per_dim"


def _precise(logits: Float[Array, "*any"]) -> Float[Array, "*any"]:
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
