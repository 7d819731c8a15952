"""FVD and the number of clips N, from the features of one set.

FVD is biased by about c/N (Chong & Forsyth 2020, for FID), so that a line through the
values of subsamples against 1/N meets the axis at the value of infinitely many clips.
Axes: `N` clips · `M` samples · `D` features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from svtcli.evaluate.fvd.protocol import frechet

FEWEST = 8
"""Minimum number of clips."""
SIZES = 8
"""Numbers of clips, evenly spaced in 1/N from a quarter to all of them."""
SUBSAMPLES = 4
"""Random subsamples of each size."""
GROUPS = 10
"""Groups of clips that the jackknife leaves out one by one."""
RESAMPLES = 100
"""Bootstrap resamples."""
SEED = 0

Real = Float[np.ndarray, "N D"]
Fake = Float[np.ndarray, "M D"]


@dataclass(frozen=True)
class NumberOfClips:
    """FVD of the first window and trial by number of clips."""

    clips: tuple[int, ...]
    """Clips of a subsample; of samples it has the same share."""
    fvd: tuple[float, ...]
    """Mean FVD over the subsamples of each size."""
    infinite: float
    """FVD extrapolated to infinitely many clips, linearly in 1/N."""
    error: float
    """Standard error of `infinite` by a jackknife over groups of clips."""
    interval: tuple[float, float]
    """95 % interval of FVD at this number of clips by a bootstrap over clips.

    The spread of the resamples around their mean, put around the value: resamples hold
    clips twice, which makes their own FVD too high."""


def number_of_clips(real: Real, fake: Fake, ddof: int = 1) -> NumberOfClips:
    """Measure how FVD depends on the number of clips; random but for the fixed seed.

    Where samples are a multiple of the clips, in the order of the clips they continue,
    both are drawn together. Errors: ValueError for fewer than `FEWEST` of either.
    """
    if min(len(real), len(fake)) < FEWEST:
        raise ValueError(f"takes {FEWEST} clips or more of each set")
    random = np.random.default_rng(SEED)
    clips, values = _by_size(real, fake, ddof, random)
    infinite, _ = extrapolate(clips, values)
    left_out = []
    real_groups, fake_groups = (
        random.permutation(len(each)) % min(GROUPS, len(real), len(fake))
        for each in (real, fake)
    )
    if len(fake) % len(real) == 0:
        fake_groups = np.tile(real_groups, len(fake) // len(real))
    for group in range(int(real_groups.max()) + 1):
        rest = real[real_groups != group], fake[fake_groups != group]
        left_out.append(extrapolate(*_by_size(*rest, ddof, random))[0])
    groups = len(left_out)
    error = np.sqrt((groups - 1) * np.var(left_out))
    resamples = [
        frechet(*_drawn(real, fake, len(real), random, True), ddof).distance
        for _ in range(RESAMPLES)
    ]
    value = frechet(real, fake, ddof).distance
    low, high = np.quantile(resamples, (0.025, 0.975)) - np.mean(resamples) + value
    return NumberOfClips(
        clips, values, infinite, float(error), (max(0.0, float(low)), float(high))
    )


def extrapolate(
    clips: tuple[int, ...], values: tuple[float, ...]
) -> tuple[float, float]:
    """Value at infinitely many clips and slope against 1/N, by least squares."""
    slope, infinite = np.polyfit(1 / np.array(clips), values, 1)
    return float(infinite), float(slope)


def _by_size(
    real: Real, fake: Fake, ddof: int, random: np.random.Generator
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Numbers of clips and the mean FVD of subsamples of each."""
    shares = 1 / np.linspace(4, 1, SIZES)
    sizes = sorted({max(2, round(len(real) * share)) for share in shares.tolist()})
    values = []
    for size in sizes:
        repeats = 1 if size == len(real) else SUBSAMPLES
        drawn = [_drawn(real, fake, size, random) for _ in range(repeats)]
        values.append(np.mean([frechet(*each, ddof).distance for each in drawn]))
    return tuple(sizes), tuple(map(float, values))


def _drawn(
    real: Real,
    fake: Fake,
    clips: int,
    random: np.random.Generator,
    again: bool = False,
) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, "m D"]]:
    """Draw clips, and the same share of samples; `again` with replacement."""
    rows = random.choice(len(real), clips, replace=again)
    each, rest = divmod(len(fake), len(real))
    if rest:
        samples = max(2, round(clips * len(fake) / len(real)))
        return real[rows], fake[random.choice(len(fake), samples, replace=again)]
    continuations = np.arange(each)[:, None] * len(real)
    return real[rows], fake[(continuations + rows).ravel()]
