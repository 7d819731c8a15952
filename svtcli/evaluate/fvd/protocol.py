"""FVD and KVD of features, over trials and windows: mean, spread and curve (§4.1).

FVD (Unterthiner et al. 2018) is the Fréchet distance of two Gaussians fitted to I3D's
features; KVD, from the same paper, their maximum mean discrepancy under a polynomial
kernel; both in float64.

A trial is one set of samples. d[s, k] is the distance of window k of trial s from
window k of the clips themselves, prime frames included. FVD is the mean over trials of
d[s, 0], FVD(Avg) of the mean over windows of d[s, k], ± the standard deviation over
trials (ddof 0); the mean over trials of each window is the curve of Figure 2.

Axes: `N` clips · `D` features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float64

from svtcli.failure import BadData

FEWEST_FRAMES = 9
"""Minimum length of a window: I3D's last pooling takes two steps of eight frames."""
KERNEL = "(x·y/400 + 1)³"
"""Kernel of KVD, of two clips' 400 features."""
RANK = 400
"""Features of a clip; with at most as many clips, covariances have lower rank."""

OfFeatures = Callable[[Float[np.ndarray, "N D"], Float[np.ndarray, "M D"]], float]
"""Number of the features of clips and of samples."""


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
class Frechet:
    """A Fréchet distance and its two parts."""

    means: float
    """|m₁ - m₂|²."""
    covariances: float
    """tr S₁ + tr S₂ - 2·tr√(S₁S₂)."""

    @property
    def distance(self) -> float:
        """FVD, if the features are I3D's."""
        return self.means + self.covariances


@dataclass(frozen=True, eq=False)
class Moments:
    """Gaussian fitted to the features of a set of clips."""

    mean: Float64[np.ndarray, " D"]
    root: Float64[np.ndarray, "R D"]
    """X with XᵀX = the covariance, R = min(N, D)."""

    @classmethod
    def of(cls, features: Float[np.ndarray, "N D"], ddof: int = 1) -> "Moments":
        """Fit it in float64, with the covariance over N - `ddof`.

        Errors: as `frechet`.
        """
        finite = _finite(features)
        return cls(finite.mean(axis=0), _root(finite, ddof))


@dataclass(frozen=True)
class Trial:
    """Distances of one set of samples, window by window."""

    windows: tuple[Frechet, ...]
    kernel: float | None
    """KVD of the first window; None where the clips' features are not known."""
    others: Mapping[str, float] = field(default_factory=dict)
    """Other numbers of the first window, by metric."""


@dataclass(frozen=True)
class Distances:
    """Distances over all trials."""

    fvd: Spread
    """FVD of the first window."""
    fvd_avg: Spread | None
    """FVD averaged over windows; None where only one was measured."""
    kvd: Spread | None
    """KVD of the first window; None where the clips' features are not known."""
    means: float
    """Part of `fvd` from the difference of the means."""
    covariances: float
    """Part of `fvd` from the difference of the covariances."""
    curve: tuple[Spread, ...]
    """FVD of each window (Figure 2)."""
    others: dict[str, Spread] = field(default_factory=dict)
    """Other numbers of the first window, by metric."""


def windows_of(frames: int, window: int, stride: int, first: int = 0) -> range:
    """First frame of each window, `stride` frames apart, from frame `first` on."""
    return range(first, frames - window + 1, stride)


def trial(
    real: Float[np.ndarray, "K N D"] | tuple[Moments, ...],
    fake: Float[np.ndarray, "K M D"],
    others: Mapping[str, OfFeatures] = MappingProxyType({}),
    ddof: int = 1,
) -> Trial:
    """Distances of a set of samples in each of K windows, and `others` of the first.

    Of clips with known moments alone, only Fréchet distances. Errors: as `frechet`.
    """
    windows = tuple(frechet(*window, ddof) for window in zip(real, fake, strict=True))
    if isinstance(real, tuple):
        return Trial(windows, None)
    numbers = {name: number(real[0], fake[0]) for name, number in others.items()}
    return Trial(windows, kernel_distance(real[0], fake[0]), numbers)


def distances(trials: Sequence[Trial]) -> Distances:
    """Summarise the trials."""
    every = np.array([[each.distance for each in one.windows] for one in trials])
    first = [one.windows[0] for one in trials]
    kernels = [one.kernel for one in trials if one.kernel is not None]
    return Distances(
        fvd=Spread.over(every[:, 0]),
        fvd_avg=Spread.over(every.mean(axis=1)) if every.shape[1] > 1 else None,
        kvd=Spread.over(kernels) if kernels else None,
        means=float(np.mean([one.means for one in first])),
        covariances=float(np.mean([one.covariances for one in first])),
        curve=tuple(Spread.over(window) for window in every.T),
        others={
            name: Spread.over([one.others[name] for one in trials])
            for name in trials[0].others
        },
    )


def frechet(
    real: Float[np.ndarray, "N D"] | Moments,
    fake: Float[np.ndarray, "M D"] | Moments,
    ddof: int = 1,
) -> Frechet:
    """Return |m₁ - m₂|² + tr S₁ + tr S₂ - 2·tr√(S₁S₂).

    Covariances are over N - `ddof`. With centred features X/√(N-ddof), S = XᵀX and
    tr√(S₁S₂) is the nuclear norm of X₁X₂ᵀ: no root of a singular matrix, no ε, and zero
    for equal sets. Of a set with more clips than features, the triangle of its QR
    decomposition has the same covariance.

    Errors: BadData for features that are not finite; ValueError for fewer than 2 clips.
    """
    first, second = (
        each if isinstance(each, Moments) else Moments.of(each, ddof)
        for each in (real, fake)
    )
    means = first.mean - second.mean
    traces = sum(float(np.square(each.root).sum()) for each in (first, second))
    shared = np.linalg.svd(first.root @ second.root.T, compute_uv=False).sum()
    # Rounding may leave equal sets slightly below zero.
    return Frechet(float(means @ means), max(0.0, traces - 2 * float(shared)))


def kernel_distance(
    real: Float[np.ndarray, "N D"], fake: Float[np.ndarray, "M D"]
) -> float:
    """Squared maximum mean discrepancy under the kernel (x·y/D + 1)³: KVD.

    The estimator is unbiased and may be below zero. Errors: as `frechet`.
    """
    first, second = (_finite(each) for each in (real, fake))
    within = sum(_mean_kernel_within(each) for each in (first, second))
    return float(within - 2 * _kernel(first, second).mean())


def jedi(real: Float[np.ndarray, "N D"], fake: Float[np.ndarray, "M D"]) -> float:
    """100 times the squared MMD under the kernel (x·y/D)²: JEDi (Luo et al. 2024).

    The estimator is biased, as in its code, and never below zero. Errors: as `frechet`.
    """
    x, y = (_finite(each) for each in (real, fake))
    pairs = ((x, x, 1), (y, y, 1), (x, y, -2))
    means = [sign * np.square(a @ b.T / a.shape[1]).mean() for a, b, sign in pairs]
    return max(0.0, 100 * float(sum(means)))  # rounding may leave equal sets below


def _kernel(
    x: Float64[np.ndarray, "N D"], y: Float64[np.ndarray, "M D"]
) -> Float64[np.ndarray, "N M"]:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_kernel_within(x: Float64[np.ndarray, "N D"]) -> float:
    """Mean of the kernel over pairs of different clips."""
    N = len(x)
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (N * (N - 1)))


def _root(
    features: Float64[np.ndarray, "N D"], ddof: int
) -> Float64[np.ndarray, "R D"]:
    """Return X with XᵀX = the covariance, with at most D rows."""
    N, D = features.shape
    centred = (features - features.mean(axis=0)) / np.sqrt(N - ddof)
    if N <= D:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


def _finite(features: Float[np.ndarray, "N D"]) -> Float64[np.ndarray, "N D"]:
    if len(features) < 2:
        raise ValueError(f"a covariance takes 2 clips or more, not {len(features)}")
    if not np.isfinite(features).all():
        wrong = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise BadData(
            f"features of {len(wrong)} of {len(features)} clips are not finite, "
            f"first of clip {wrong[0]}"
        )
    return features.astype(np.float64)
