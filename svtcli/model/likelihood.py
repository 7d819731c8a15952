"""Log-likelihood of videos in bits/dim or nats/frame (§4.1, A.1).

A video is scored by the same windows and slices as it would be sampled by, so that the
score is of exactly the distribution of samples. Prime frames are not scored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import sqrt
from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float64, Int, UInt8

from svtcli.model.heads import unit_of
from svtcli.model.loss import slice_nll
from svtcli.model.parameters import Params
from svtcli.model.subscale import scored_frames
from svtcli.model.svt import network
from svtcli.model.windows import passes
from svtcli.recipe.model import Model


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


def score(nll: Float64[np.ndarray, "N F"], prime: int, config: Model) -> Score:
    """Mean score of N videos; the standard error is over videos."""
    _, H, W = config.video
    scored = nll[:, prime:] / (H * W) * unit_of(config).per_nat  # [N, F - prime]
    videos = scored.mean(axis=1)
    alone = len(videos) == 1
    error = None if alone else float(videos.std(ddof=1) / sqrt(len(videos)))
    return Score(float(videos.mean()), error, tuple(map(float, scored.mean(0))))


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
