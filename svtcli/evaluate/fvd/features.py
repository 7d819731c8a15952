"""I3D features of clips for FVD: on all devices, cached by the hash of their pixels.

They are expensive: half a second a clip on a core, and BAIR's protocol needs 80,640
clips. The cache serves an evaluation that resumes, and every other one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float32, UInt8

from svtcli.clips.held_out import full_batches
from svtcli.evaluate.fvd.conventions import Resize
from svtcli.evaluate.fvd.i3d import (
    CLASSES,
    CLOSE_ENOUGH,
    I3D,
    SELF_TEST,
    features,
    i3d,
    self_test,
)
from svtcli.evaluate.weights import I3D_WEIGHTS, read_weights
from svtcli.failure import CheckFailed
from svtcli.run.cache import Cache
from svtcli.run.durable import fingerprint
from svtcli.run.progress import Progress
from svtcli.train.mesh import Layout, side_by_side

AT_ONCE = 8
"""Batch of a device; more clips are not faster, and take 0.2 GB each."""
KEPT_TOGETHER = 32
"""Clips in a file of the cache: the most that an interruption loses."""
_VERSION = 2
"""Version of the computation: part of the cache's keys."""


@dataclass(frozen=True)
class Network:
    """I3D with its weights' hash, checked against the published constant."""

    params: I3D
    weights: str
    """SHA-256 of the file."""
    constant: float
    """FVD of 16 black frames against white ones: 152.90 with the published weights."""


def load_network(given: Path | None, progress: Progress) -> Network:
    """Load the published weights, or those of the file `given`, and test the network.

    The self-test runs once on a machine. Errors: those of `read_weights`; CheckFailed
    where its constant is off.
    """
    weights = read_weights(I3D_WEIGHTS, given)
    params = i3d(weights.arrays)
    device = jax.devices()[0].device_kind
    passed = Cache.of("self-tests")
    key = fingerprint(_VERSION, weights.sha256, device, jax.__version__)[:32]
    before = passed.get(key)
    if before is not None:
        return Network(params, weights.sha256, float(before))
    progress.note("compiling FVD's network, to test it once on this machine")
    constant, wanted = self_test(params), SELF_TEST[16]
    text = f"FVD of 16 black frames against white ones is {constant:.4f} here"
    if not abs(constant - wanted) <= CLOSE_ENOUGH * wanted:  # also if it is NaN
        raise CheckFailed(
            f"self-test: {text}, and {wanted:.4f} with the published weights",
            "use the published weights and float32 products (no TF32)",
        )
    progress.note(f"self-test passed: {text} ({wanted:.4f} is right)")
    passed.put(key, np.array(constant))
    return Network(params, weights.sha256, constant)


@dataclass(frozen=True)
class Features:
    """Features of clips, from the cache or computed."""

    network: Network
    resize: Resize
    layout: Layout
    cache: Cache

    @classmethod
    def on_all_devices(cls, network: Network, resize: Resize) -> "Features":
        """Use all devices of this machine and the cache of this user."""
        layout = side_by_side(jax.local_devices())
        return cls(network, resize, layout, Cache.of("features"))

    def of(self, video: UInt8[np.ndarray, "n T H W C"]) -> Float32[np.ndarray, "n 400"]:
        """Features of up to `KEPT_TOGETHER` clips."""
        key = self._key(video)
        known = self.cache.get(key)
        if known is not None and known.shape == (len(video), CLASSES):
            return known.astype(np.float32)
        computed = np.concatenate(list(self._compute(video)))[: len(video)]
        if np.isfinite(computed).all():  # never cache a fault of a device
            self.cache.put(key, computed)
        return computed

    def _compute(
        self, video: UInt8[np.ndarray, "n T H W C"]
    ) -> Iterator[Float32[np.ndarray, "b 400"]]:
        """Yield features batch by batch, with padding at the end of the last one."""
        size = AT_ONCE * self.layout.devices
        for rows in full_batches(len(video), size, self.layout.devices):
            on_devices = self.layout.spread(video[rows])
            yield np.asarray(features(self._params, on_devices, self.resize))

    @cached_property
    def _params(self) -> I3D:
        return self.layout.whole_copy(self.network.params)

    def _key(self, video: UInt8[np.ndarray, "n T H W C"]) -> str:
        pixels = sha256(np.ascontiguousarray(video).data).hexdigest()
        network = self.network.weights
        return fingerprint(_VERSION, network, self.resize, video.shape, pixels)
