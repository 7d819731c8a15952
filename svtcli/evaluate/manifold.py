"""Precision, recall, density and coverage of features, by their nearest neighbours.

A set's manifold is the union of balls around its features, each as wide as the distance
to the k-th nearest neighbour in the same set. Precision and recall are by Kynkäänniemi
et al. 2019 (k = 3), density and coverage by Naeem et al. 2020 (k = 5). A point on a
ball's surface counts for the first two and not for the others, as in the published code
of each. Distances are exact, in float64, and memory is linear in the number of clips.

Axes: `N` clips · `M` samples · `D` features.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64

PRECISION_K = 3
COVERAGE_K = 5


def precision(real: Float[np.ndarray, "N D"], fake: Float[np.ndarray, "M D"]) -> float:
    """Share of samples in the manifold of the clips (k = 3)."""
    within = _radii(real, PRECISION_K)
    return float(np.mean([(row <= within).any() for row in _distances(fake, real)]))


def recall(real: Float[np.ndarray, "N D"], fake: Float[np.ndarray, "M D"]) -> float:
    """Share of clips in the manifold of the samples (k = 3)."""
    return precision(fake, real)


def density(real: Float[np.ndarray, "N D"], fake: Float[np.ndarray, "M D"]) -> float:
    """Mean number of the clips' balls that hold a sample, over k = 5; may exceed 1."""
    within = _radii(real, COVERAGE_K)
    held = [(row < within).sum() for row in _distances(fake, real)]
    return float(np.mean(held) / COVERAGE_K)


def coverage(real: Float[np.ndarray, "N D"], fake: Float[np.ndarray, "M D"]) -> float:
    """Share of clips whose ball holds a sample (k = 5)."""
    within = _radii(real, COVERAGE_K)
    rows = zip(_distances(real, fake), within, strict=True)
    return float(np.mean([row.min() < radius for row, radius in rows]))


def _radii(x: Float[np.ndarray, "N D"], k: int) -> Float64[np.ndarray, " N"]:
    """Squared distance of each point to its k-th nearest neighbour, itself left out.

    Errors: ValueError for k points or fewer.
    """
    if len(x) <= k:
        raise ValueError(f"{len(x)} points have no {k}-th nearest neighbour")
    return np.array([np.partition(row, k)[k] for row in _distances(x, x)])


def _distances(
    x: Float[np.ndarray, "N D"], y: Float[np.ndarray, "M D"]
) -> Iterator[Float64[np.ndarray, " M"]]:
    """Yield the squared distances of each x to all y: zero for equal points."""
    y = y.astype(np.float64)
    for point in x.astype(np.float64):
        difference = y - point
        yield np.einsum("md,md->m", difference, difference)
