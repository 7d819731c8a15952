"""Continuations of given frames: window after window, slice after slice (§3.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Key, UInt8

from svtcli.model.codes import codes_from_video, video_from_codes
from svtcli.model.priming import slice_frames, slices_to_make
from svtcli.model.svt import Params
from svtcli.model.windows import windows
from svtcli.recipe.model import Model
from svtcli.sampling.guess import guess_slice
from svtcli.sampling.sequential import sample_slice

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
    window: int | None = None
    """Positions of a pass of guess and verify; None goes pixel by pixel."""

    def continue_video(
        self,
        video: UInt8[np.ndarray, "B F H W I"],
        prime: int,
        overlap: int,
        keys: Key[Array, " B"],
        temperature: float,
        actions: Float[np.ndarray, "B F A"] | None = None,
        on_slice: OnSlice = lambda pixels, passes: None,
    ) -> Continuation:
        """`video` with all frames from `prime` on made by the model.

        Only the first `prime` frames are read.
        Errors: ValueError if the windows cannot be laid out.
        """
        B, F = video.shape[:2]
        T = self.config.video[0]
        room = max(0, T - F)  # a frame-by-frame model may make less than its window
        known = np.where(np.arange(F)[:, None, None, None] < prime, video, 0)
        known = np.pad(known, ((0, 0), (0, room), (0, 0), (0, 0), (0, 0)))
        codes = np.array(codes_from_video(jnp.asarray(known, jnp.uint8), self.config))
        nats = np.zeros((B, F + room), np.float32)
        pixels, passes = 0, np.zeros(B, int)
        for window in windows(self.config, F, prime, overlap):
            here = slice(window.start, window.start + T)
            window_codes = jnp.array(codes[:, here])
            window_actions = None if actions is None else jnp.asarray(actions[:, here])
            for index in slices_to_make(self.config, window.given, window.stop):
                window_codes, slice_nats, slice_passes = self._make_slice(
                    self.graphdef,
                    self.params,
                    self.config,
                    window_codes,
                    jnp.asarray(index),
                    jnp.asarray(window.given),
                    jnp.asarray(window.start),
                    keys,
                    jnp.asarray(temperature, jnp.float32),
                    window_actions,
                    first=self.config.first_slice_layers is not None and index == 0,
                )
                frames = np.asarray(slice_frames(self.config, jnp.array([index])))[0]
                nats[:, window.start + frames] += np.asarray(slice_nats)
                made_frames = (frames >= window.given).sum()
                slice_pixels = int(made_frames) * prod(self.config.slice_shape[1:])
                pixels += slice_pixels
                passes += np.asarray(slice_passes)
                on_slice(slice_pixels, np.asarray(slice_passes))
            codes[:, here] = window_codes
        made = np.asarray(video_from_codes(jnp.asarray(codes), self.config))
        return Continuation(made[:, :F], nats[:, :F], pixels, passes)

    @property
    def _make_slice(self) -> Callable:
        if self.window is None:
            return sample_slice
        return partial(guess_slice, window=self.window)
