"""bits/dim and nats/frame by windows and slices (§4.1, appendix A.1).

A video is scored by the windows that would sample it, so the score is that of exactly
what the sampler makes. Prime frames are given and never scored.
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

from svtcli.model.loss import score_unit, slice_nats
from svtcli.model.priming import scored_frames
from svtcli.model.svt import Params, network
from svtcli.model.windows import passes
from svtcli.recipe.model import Model


@dataclass(frozen=True)
class Score:
    """A mean over videos with its standard error, in bits/dim or nats/frame."""

    mean: float
    error: float | None
    """None for a single video."""
    per_frame: tuple[float, ...]
    """The mean of each scored frame, in the same unit."""


@dataclass(frozen=True)
class Scorer:
    """A network and how long a video it scores at once."""

    config: Model
    graphdef: nnx.GraphDef
    params: Params
    spread: Callable[[np.ndarray], Array] = jnp.asarray
    """Puts the rows of a batch where they are scored; on several devices, apart."""
    gather: Callable[[Array], np.ndarray] = np.asarray
    """All rows of a result, from wherever they are."""

    def frame_nats(
        self,
        video: UInt8[np.ndarray, "B F H W I"],
        prime: int,
        overlap: int,
        actions: Float[np.ndarray, "B F A"] | None = None,
        on_slice: Callable[[], None] = lambda: None,
    ) -> Float64[np.ndarray, "B F"]:
        """Nats of each frame; 0 for the `prime` first ones.

        Errors: Refused, as `windows.passes`.
        """
        B, F = video.shape[:2]
        T = self.config.video[0]
        room = max(0, T - F)  # a frame-by-frame model may score less than its window
        padded = np.pad(video, ((0, 0), (0, room), (0, 0), (0, 0), (0, 0)))
        nats = np.zeros((B, F + room))
        every = passes(self.config, F, prime, overlap)
        for window, slices in groupby(every, attrgetter("window")):
            here = slice(window.start, window.start + T)
            clip = self.spread(padded[:, here])
            clip_actions = None if actions is None else self.spread(actions[:, here])
            for each in slices:
                of_slice = _scored_nats(
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
                nats[:, list(each.frames)] += per_frame
                on_slice()
        return nats[:, :F]


def score(nats: Float64[np.ndarray, "N F"], prime: int, config: Model) -> Score:
    """The score that the nats of N videos amount to; the error is over videos."""
    _, H, W = config.video
    scored = nats[:, prime:] / (H * W) * score_unit(config)  # [N, F - prime]
    videos = scored.mean(axis=1)
    alone = len(videos) == 1
    error = None if alone else float(videos.std(ddof=1) / sqrt(len(videos)))
    return Score(float(videos.mean()), error, tuple(map(float, scored.mean(0))))


@partial(jax.jit, static_argnames=("graphdef", "config", "first"))
def _scored_nats(
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
    """Nats of each pixel of a slice; 0 in prime frames."""
    nats = slice_nats(network(graphdef, params), video, index, actions, first=first)
    return nats * scored_frames(config, index, prime)[:, :, None, None]
