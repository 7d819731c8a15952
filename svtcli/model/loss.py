"""Training loss: mean negative log-likelihood of scored codes (eq. 9, A.1)."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from svtcli.model.heads import unit_of
from svtcli.model.parameters import Params
from svtcli.model.subscale import codes_from_video, scored_frames, take_slice
from svtcli.model.svt import SVT, network
from svtcli.recipe.model import Model


def slice_nll(
    model: SVT,
    video: UInt8[Array, "B T H W I"],
    index: Int[Array, " B"],
    actions: Float[Array, "B T A"] | None = None,
    *,
    first: bool = False,
    remat: bool = False,
) -> Float[Array, "B t h w"]:
    """NLL in nats of every pixel of slice `index`, prime frames included."""
    codes = codes_from_video(video, model.config)
    logits = model(codes, index, actions, first=first, remat=remat)
    own = take_slice(codes, index, model.config.s)
    return model.decoder_of(first=first).head.nll(logits, own)


class Rows(NamedTuple):
    """A batch of slices, with the weight of each frame in the loss."""

    video: UInt8[Array, "B T H W I"]
    slice_index: Int[Array, " B"]
    actions: Float[Array, "B T A"] | None
    weight: Float[Array, "B t"]


AddUp = Callable[[Callable[..., Float[Array, ""]], int, Params, Rows], Array]
"""(nll, n, params, rows) -> nll(n, params, rows), summed over devices."""


def on_one_device(
    nll: Callable[..., Float[Array, ""]], first: int, params: Params, rows: Rows
) -> Float[Array, ""]:
    """`AddUp` of one device."""
    return nll(first, params, rows)


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
    add_up: AddUp = on_one_device,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean nats per scored code of a batch of slices, and their score (`heads.Unit`).

    Rows are laid out as by `windows.slice_choices`; first slices with a decoder of
    their own are reweighted to their true share of all slices (§4.3).
    """
    scored = scored_weight(config, prime, slice_index)
    rows = Rows(video, slice_index, actions, scored)
    nll = partial(weighted_nll, graphdef, remat)
    total = add_up(nll, config.first_rows(len(video)), params, rows)
    _, h, w = config.slice_shape
    pixels, unit = scored.sum() * h * w, unit_of(config)
    return total / (pixels * unit.scored), total / pixels * unit.per_nat


def weighted_nll(
    graphdef: nnx.GraphDef, remat: bool, first: int, params: Params, rows: Rows
) -> Float[Array, ""]:
    """Weighted sum of NLLs; the `first` rows take the first slice's own decoder."""
    model = network(graphdef, params)

    def nll(some: slice, *, first: bool) -> Float[Array, "some t h w"]:
        video, index, actions, _ = jax.tree.map(lambda each: each[some], rows)
        return slice_nll(model, video, index, actions, first=first, remat=remat)

    if first == len(rows.video):
        found = nll(slice(None), first=True)
    else:
        found = nll(slice(first, None), first=False)
        if first:
            own = nll(slice(first), first=True)
            found = jnp.concatenate([own, found])
    return (found * rows.weight[:, :, None, None]).sum()


def scored_weight(
    config: Model, prime: int, slice_index: Int[Array, " B"]
) -> Float[Array, "B t"]:
    """Weight of each frame of a batch of slices; 0 for prime frames."""
    B = len(slice_index)
    n = config.first_rows(B)
    weight = jnp.ones(B)
    if n:
        share = 1 / config.slices
        weight = jnp.where(jnp.arange(B) < n, share * B / n, (1 - share) * B / (B - n))
    return scored_frames(config, slice_index, prime) * weight[:, None]
