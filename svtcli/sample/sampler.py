"""Continuations of given frames: window after window, slice after slice (§3.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key, UInt8

from svtcli.model.codes import codes_from_video, video_from_codes
from svtcli.model.parameters import Params
from svtcli.model.windows import passes
from svtcli.recipe.model import Model
from svtcli.sample.sampling_rule import Choice
from svtcli.sample.sequential import sample_slice
from svtcli.sample.slice_state import Made, Wanted


@runtime_checkable
class MakeSlice(Protocol):
    """A schedule: makes a slice of each video, after all earlier slices."""

    def __call__(
        self,
        graphdef: nnx.GraphDef,
        params: Params,
        config: Model,
        codes: UInt8[Array, "B T H W C"],
        wanted: Wanted,
        *,
        first: bool,
    ) -> Made:
        """The windows with the slice in them; consumes `codes`.

        `first` says that it is slice (0, 0, 0) of a model that has a decoder of its own
        for it. Compiles once for all others.
        """
        ...


OnSlice = Callable[[int, Int[np.ndarray, " B"]], None]
"""Called after each slice with the pixels made in each video and its passes."""


@dataclass(frozen=True)
class Continuation:
    """A batch of finished videos."""

    video: UInt8[np.ndarray, "B F H W I"]
    nats: Float32[np.ndarray, "B F"]
    """Of each frame; 0 for given ones."""
    pixels: int
    """How many positions the model made in each video."""
    passes: Int[np.ndarray, " B"]
    """In how many passes of the decoder each video was made."""

    @property
    def pixels_per_pass(self) -> float:
        """How many positions a pass made final, on average over all videos."""
        return self.pixels * len(self.passes) / int(self.passes.sum())


@dataclass(frozen=True)
class Sampler:
    """A trained network, ready to continue videos."""

    config: Model
    graphdef: nnx.GraphDef
    params: Params
    make_slice: MakeSlice = sample_slice
    """Which of the schedules; all make the same slices."""
    spread: Callable[[np.ndarray], Array] = jnp.asarray
    """Puts the rows of a batch where they are made; on several devices, apart."""

    def continue_video(
        self,
        video: UInt8[np.ndarray, "B F H W I"],
        prime: int,
        overlap: int,
        keys: Key[Array, " B"],
        choice: Choice,
        actions: Float[np.ndarray, "B F A"] | None = None,
        on_slice: OnSlice = lambda pixels, passes: None,
    ) -> Continuation:
        """`video` with all frames from `prime` on made by the model.

        Only the first `prime` frames are read.
        Errors: Refused, as `windows.passes`.
        """
        B, F = video.shape[:2]
        T = self.config.video[0]
        room = max(0, T - F)  # a frame-by-frame model may make less than its window
        known = np.where(np.arange(F)[:, None, None, None] < prime, video, 0)
        known = np.pad(known, ((0, 0), (0, room), (0, 0), (0, 0), (0, 0)))
        codes = np.array(codes_from_video(jnp.asarray(known, jnp.uint8), self.config))
        nats = np.zeros((B, F + room), np.float32)
        _, h, w = self.config.slice_shape
        pixels, decoder_passes = 0, np.zeros(B, int)
        every = passes(self.config, F, prime, overlap)
        for window, slices in groupby(every, attrgetter("window")):
            here = slice(window.start, window.start + T)
            # A copy, for a device may take what it can see for its own.
            window_codes = self.spread(codes[:, here].copy())
            window_actions = None if actions is None else self.spread(actions[:, here])
            for each in slices:
                wanted = Wanted(
                    jnp.asarray(each.index),
                    jnp.asarray(window.prime),
                    jnp.asarray(window.start),
                    keys,
                    choice,
                    window_actions,
                )
                slice_ = self._made(window_codes, wanted, first=each.first)
                window_codes, slice_passes = slice_.codes, np.asarray(slice_.passes)
                nats[:, list(each.frames)] += np.asarray(slice_.nats)
                slice_pixels = (len(each.frames) - each.prime_frames) * h * w
                pixels += slice_pixels
                decoder_passes += slice_passes
                on_slice(slice_pixels, slice_passes)
            codes[:, here] = window_codes
        made = np.asarray(video_from_codes(jnp.asarray(codes), self.config))
        return Continuation(made[:, :F], nats[:, :F], pixels, decoder_passes)

    def _made(
        self, codes: UInt8[Array, "B T H W C"], wanted: Wanted, *, first: bool
    ) -> Made:
        """One slice, by products that round alike in all schedules.

        An accelerator's own choice for float32 may be TF32 or bfloat16, where a last
        bit grows to a thousandth, and by how much depends on the shape of a pass.
        """
        parts = (self.graphdef, self.params, self.config)
        with jax.default_matmul_precision("highest"):
            return self.make_slice(*parts, codes, wanted, first=first)
