"""Continuations of prime frames: window after window, slice after slice (§3.2)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key, UInt8

from svtcli.model.parameters import Params
from svtcli.model.subscale import codes_from_video, video_from_codes
from svtcli.model.windows import passes
from svtcli.recipe.model import Model
from svtcli.sample.sampling_rule import SamplingRule
from svtcli.sample.schedules import Sequential
from svtcli.sample.slice_state import (
    Schedule,
    SliceInputs,
    SliceResult,
    sample_slice,
    sample_slice_on,
)

OnSlice = Callable[[int, Int[np.ndarray, " B"]], None]
"""Called after each slice with the sampled pixels of each video and its passes."""


@dataclass(frozen=True)
class Continuation:
    """A batch of finished videos."""

    video: UInt8[np.ndarray, "B F H W I"]
    nll: Float32[np.ndarray, "B F"]
    """NLL in nats of each frame; 0 for prime frames."""
    pixels: int
    """Positions sampled in each video."""
    passes: Int[np.ndarray, " B"]
    """Passes of the decoder for each video."""


@dataclass(frozen=True)
class Sampler:
    """A trained network, ready to continue videos."""

    config: Model
    graphdef: nnx.GraphDef
    params: Params
    schedule: Schedule = field(default_factory=Sequential)
    """Any schedule gives the same samples."""
    mesh: jax.sharding.Mesh | None = None
    """Devices that share the rows of a batch; None for one device."""
    spread: Callable[[np.ndarray], Array] = jnp.asarray
    """Puts the rows of a batch on the devices that sample them."""

    def continue_video(
        self,
        video: UInt8[np.ndarray, "B F H W I"],
        prime: int,
        overlap: int,
        keys: Key[Array, " B"],
        rule: SamplingRule,
        actions: Float[np.ndarray, "B F A"] | None = None,
        on_slice: OnSlice = lambda pixels, passes: None,
    ) -> Continuation:
        """Sample all frames of `video` from frame `prime` on.

        Only the first `prime` frames are read. Errors: Refused, as `windows.passes`.
        """
        B, F = video.shape[:2]
        T = self.config.video[0]
        room = max(0, T - F)  # a frame-by-frame model may sample less than its window
        known = np.where(np.arange(F)[:, None, None, None] < prime, video, 0)
        known = np.pad(known, ((0, 0), (0, room), (0, 0), (0, 0), (0, 0)))
        if actions is not None:
            actions = np.pad(actions, ((0, 0), (0, room), (0, 0)))
        codes = np.array(codes_from_video(jnp.asarray(known, jnp.uint8), self.config))
        nll = np.zeros((B, F + room), np.float32)
        _, h, w = self.config.slice_shape
        pixels, decoder_passes = 0, np.zeros(B, int)
        every = passes(self.config, F, prime, overlap)
        for window, slices in groupby(every, attrgetter("window")):
            here = slice(window.start, window.start + T)
            # A copy: a CPU device may take the array itself, and the next slice its
            # memory.
            window_codes = self.spread(codes[:, here].copy())
            window_actions = None if actions is None else self.spread(actions[:, here])
            for each in slices:
                inputs = SliceInputs(
                    jnp.asarray(each.index),
                    jnp.asarray(window.prime),
                    jnp.asarray(window.start),
                    keys,
                    rule,
                    window_actions,
                )
                result = self._sample_slice(window_codes, inputs, first=each.first)
                window_codes, slice_passes = result.codes, np.asarray(result.passes)
                nll[:, list(each.frames)] += np.asarray(result.nll)
                slice_pixels = (len(each.frames) - each.prime_frames) * h * w
                pixels += slice_pixels
                decoder_passes += slice_passes
                on_slice(slice_pixels, slice_passes)
            codes[:, here] = window_codes
        sampled = np.asarray(video_from_codes(jnp.asarray(codes), self.config))
        return Continuation(sampled[:, :F], nll[:, :F], pixels, decoder_passes)

    def _sample_slice(
        self, codes: UInt8[Array, "B T H W C"], inputs: SliceInputs, *, first: bool
    ) -> SliceResult:
        """Sample one slice, by products that round alike in all schedules.

        An accelerator's default for float32 may be TF32 or bfloat16, where a last bit
        grows to a thousandth, depending on the shape of a pass.
        """
        sample = sample_slice if self.mesh is None else sample_slice_on(self.mesh)
        parts = (self.graphdef, self.params, self.config)
        with jax.default_matmul_precision("highest"):
            return sample(*parts, codes, inputs, schedule=self.schedule, first=first)
