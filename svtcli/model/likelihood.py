"""Log-likelihood: the training loss (eq. 9), and scores of videos (§4.1, A.1).

Scores are in bits/dim or nats/frame. A video is scored by the same windows and slices
as it would be sampled by, so that the score is of exactly the distribution of samples.
Prime frames are not scored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import sqrt
from operator import attrgetter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float64, Int, UInt8

from svtcli.model.heads import head_class, unit_of
from svtcli.model.parameters import Params
from svtcli.model.subscale import codes_from_video, scored_frames, take_slice
from svtcli.model.svt import SVT, network
from svtcli.model.windows import passes
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


@dataclass(frozen=True)
class Score:
    """A mean over videos with its standard error, in bits/dim or nats/frame."""

    mean: float
    error: float | None
    """None for a single video."""
    per_frame: tuple[float, ...]
    """Mean of each scored frame, in the same unit."""


@dataclass(frozen=True)
class Scorer:
    """A network, ready to score videos."""

    config: Model
    graphdef: nnx.GraphDef
    params: Params
    spread: Callable[[np.ndarray], Array] = jnp.asarray
    """Puts the rows of a batch on the devices that score them."""
    gather: Callable[[Array], np.ndarray] = np.asarray
    """Collects the rows of a result from all devices."""

    def frame_nll(
        self,
        video: UInt8[np.ndarray, "B F H W I"],
        prime: int,
        overlap: int,
        actions: Float[np.ndarray, "B F A"] | None = None,
        on_slice: Callable[[], None] = lambda: None,
    ) -> Float64[np.ndarray, "B F"]:
        """NLL in nats of each frame; 0 for the `prime` first ones.

        Errors: Refused, as `windows.passes`.
        """
        B, F = video.shape[:2]
        T = self.config.video[0]
        room = max(0, T - F)  # a frame-by-frame model may score less than its window
        padded = np.pad(video, ((0, 0), (0, room), (0, 0), (0, 0), (0, 0)))
        if actions is not None:
            actions = np.pad(actions, ((0, 0), (0, room), (0, 0)))
        nll = np.zeros((B, F + room))
        every = passes(self.config, F, prime, overlap)
        for window, slices in groupby(every, attrgetter("window")):
            here = slice(window.start, window.start + T)
            clip = self.spread(padded[:, here])
            clip_actions = None if actions is None else self.spread(actions[:, here])
            for each in slices:
                of_slice = _scored_nll(
                    self.graphdef,
                    self.params,
                    self.config,
                    clip,
                    self.spread(np.full(B, each.index, np.int32)),
                    np.int32(window.prime),
                    clip_actions,
                    first=each.first,
                )
                # Summed here: float32 would lose digits over a frame's pixels.
                per_frame = self.gather(of_slice).astype(np.float64).sum(axis=(2, 3))
                nll[:, list(each.frames)] += per_frame
                on_slice()
        return nll[:, :F]


def uniform_score(frames: int, prime: int, config: Model) -> Score:
    """Score of any video under the model for which all logits are equal."""
    of_pixel = head_class(config).uniform_nll(config) * unit_of(config).per_nat
    return Score(of_pixel, 0.0, (of_pixel,) * (frames - prime))


def score(nll: Float64[np.ndarray, "N F"], prime: int, config: Model) -> Score:
    """Mean score of N videos; the standard error is over videos."""
    scored = per_frame(nll, prime, config)
    videos = scored.mean(axis=1)
    alone = len(videos) == 1
    error = None if alone else float(videos.std(ddof=1) / sqrt(len(videos)))
    return Score(float(videos.mean()), error, tuple(map(float, scored.mean(0))))


def per_frame(
    nll: Float64[np.ndarray, "N F"], prime: int, config: Model
) -> Float64[np.ndarray, "N scored"]:
    """Score of each frame but the `prime` first ones, in bits/dim or nats/frame."""
    _, H, W = config.video
    return nll[:, prime:] / (H * W) * unit_of(config).per_nat


@partial(jax.jit, static_argnames=("graphdef", "config", "first"))
def _scored_nll(
    graphdef: nnx.GraphDef,
    params: Params,
    config: Model,
    video: UInt8[Array, "B T H W I"],
    index: Int[Array, " B"],
    prime: Int[Array, ""],
    actions: Float[Array, "B T A"] | None,
    *,
    first: bool,
) -> Float[Array, "B t h w"]:
    """NLL of each pixel of a slice; 0 in prime frames."""
    nll = slice_nll(network(graphdef, params), video, index, actions, first=first)
    return nll * scored_frames(config, index, prime)[:, :, None, None]
