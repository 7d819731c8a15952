"""FVD over trials and windows: mean, spread and the curve of Figure 2 (§4.1).

A trial is one set of samples. d[s, k] is the distance of window k of trial s from
window k of the clips themselves, prime frames included. FVD is the mean over trials of
d[s, 0], FVD(Avg) of the mean over windows of d[s, k], ± the standard deviation over
trials (ddof 0); the mean over trials of each window is the curve of Figure 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from svtcli.evaluate.fvd.frechet import Frechet, frechet, kernel_distance

FEWEST_FRAMES = 9
"""Minimum length of a window: I3D's last pooling takes two steps of eight frames."""
RANK = 400
"""Features of a clip; with at most as many clips, covariances have lower rank."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a number over trials."""

    mean: float
    std: float | None
    """Standard deviation (ddof 0); None for a single trial."""
    trials: tuple[float, ...]

    @classmethod
    def over(cls, trials: Sequence[float] | Float[np.ndarray, " S"]) -> "Spread":
        """Compute both from the number of each trial."""
        std = float(np.std(trials)) if len(trials) > 1 else None
        return cls(float(np.mean(trials)), std, tuple(map(float, trials)))


@dataclass(frozen=True)
class Trial:
    """Distances of one set of samples, window by window."""

    windows: tuple[Frechet, ...]
    kernel: float
    """KVD of the first window."""


@dataclass(frozen=True)
class Distances:
    """Distances over all trials."""

    fvd: Spread
    """FVD of the first window."""
    fvd_avg: Spread
    """FVD averaged over windows; same as `fvd` for one window."""
    kvd: Spread
    """KVD of the first window."""
    means: float
    """Part of `fvd` from the difference of the means."""
    covariances: float
    """Part of `fvd` from the difference of the covariances."""
    curve: tuple[Spread, ...]
    """FVD of each window (Figure 2)."""


def windows_of(frames: int, window: int, stride: int) -> range:
    """First frame of each window, `stride` frames apart."""
    return range(0, frames - window + 1, stride)


def trial(real: Float[np.ndarray, "K N D"], fake: Float[np.ndarray, "K M D"]) -> Trial:
    """Distances of a set of samples in each of K windows. Errors: as `frechet`."""
    windows = tuple(frechet(*window) for window in zip(real, fake, strict=True))
    return Trial(windows, kernel_distance(real[0], fake[0]))


def distances(trials: Sequence[Trial]) -> Distances:
    """Summarise the trials."""
    every = np.array([[each.distance for each in one.windows] for one in trials])
    first = [one.windows[0] for one in trials]
    return Distances(
        fvd=Spread.over(every[:, 0]),
        fvd_avg=Spread.over(every.mean(axis=1)),
        kvd=Spread.over([one.kernel for one in trials]),
        means=float(np.mean([one.means for one in first])),
        covariances=float(np.mean([one.covariances for one in first])),
        curve=tuple(Spread.over(window) for window in every.T),
    )
