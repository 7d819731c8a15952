"""FVD over trials and windows: one number, its spread, and the unrolled curve (§4.1).

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

RANK = 400
"""Features of a clip: of so few clips, the covariance is not of full rank."""


@dataclass(frozen=True)
class Spread:
    """A number from several trials."""

    mean: float
    std: float | None
    """Over trials, ddof 0; None for a single one."""
    trials: tuple[float, ...]

    @classmethod
    def over(cls, trials: Sequence[float] | Float[np.ndarray, " S"]) -> "Spread":
        """Of the trials' numbers."""
        std = float(np.std(trials)) if len(trials) > 1 else None
        return cls(float(np.mean(trials)), std, tuple(map(float, trials)))


@dataclass(frozen=True)
class Trial:
    """One set of samples against the clips, window by window."""

    windows: tuple[Frechet, ...]
    kernel: float
    """KVD of the first window."""


@dataclass(frozen=True)
class Distances:
    """All trials together."""

    fvd: Spread
    """Of the first window."""
    fvd_avg: Spread
    """Of the mean over windows; of one window, the same as `fvd`."""
    kvd: Spread
    """Of the first window."""
    means: float
    """What the means' difference has in `fvd`."""
    covariances: float
    """What the covariances' difference has in `fvd`."""
    curve: tuple[Spread, ...]
    """Each window (Figure 2)."""


def windows_of(frames: int, window: int, stride: int) -> range:
    """Where the windows begin: every contiguous one where `stride` is 1."""
    return range(0, frames - window + 1, stride)


def trial(real: Float[np.ndarray, "K N D"], fake: Float[np.ndarray, "K M D"]) -> Trial:
    """The distances of a set of samples in each of K windows. Errors: as `frechet`."""
    windows = tuple(frechet(*window) for window in zip(real, fake, strict=True))
    return Trial(windows, kernel_distance(real[0], fake[0]))


def distances(trials: Sequence[Trial]) -> Distances:
    """What the trials amount to."""
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
