"""The distance between two Gaussians against its definition, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.evaluate.fvd.protocol import KERNEL, frechet, kernel_distance
from svtcli.failure import BadData


def drawn(clips: int, features: int, seed: int) -> np.ndarray:
    """Correlated features with a mean of their own."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(features, features)) / np.sqrt(features)
    return random.normal(size=(clips, features)) @ mixed + random.normal(size=features)


def root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric root, with the eigenvalues that are only rounding left out."""
    values, vectors = np.linalg.eigh(covariance)
    values[values < values.max() * len(values) * np.finfo(float).eps] = 0
    return (vectors * np.sqrt(values)) @ vectors.T


def by_definition(real: np.ndarray, fake: np.ndarray) -> float:
    """|m₁ - m₂|² + tr(S₁ + S₂ - 2√(√S₁ S₂ √S₁)), the trace of a root as a sum of
    singular values of the product of two roots."""
    S1, S2 = (np.cov(each, rowvar=False) for each in (real, fake))
    shared = np.linalg.svd(root(S1) @ root(S2), compute_uv=False).sum()
    apart = real.mean(0) - fake.mean(0)
    return float(apart @ apart + np.trace(S1) + np.trace(S2) - 2 * shared)


@pytest.mark.parametrize("real", [16, 24, 150], ids="{} real".format)
@pytest.mark.parametrize("fake", [16, 31, 150], ids="{} fake".format)
def test_the_distance_matches_its_definition_at_full_and_lower_rank(real, fake):
    first, second = drawn(real, 60, 1), drawn(fake, 60, 2)
    distance = frechet(first, second).distance
    assert distance == pytest.approx(by_definition(first, second), rel=1e-9)


def test_known_covariances_give_the_known_distance():
    """Four corners of a rectangle: S = diag(4a²/3, 4b²/3)."""
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], float)
    narrow, wide = corners * [1, 2], corners * [3, 5] + [7, 0]
    found = frechet(narrow, wide)
    assert found.means == pytest.approx(49)
    assert found.covariances == pytest.approx(4 / 3 * ((3 - 1) ** 2 + (5 - 2) ** 2))
    assert found.distance == pytest.approx(49 + 52 / 3)


@pytest.mark.parametrize("clips", [2, 3, 5, 24, 50, 100, 900])
def test_equal_sets_are_at_no_distance(clips):
    features = drawn(clips, 60, 3) * 1e3
    spread = np.trace(np.cov(features, rowvar=False))
    for same in (features, features[::-1]):
        assert 0 <= frechet(features, same).distance <= 1e-9 * spread


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 20), st.integers(0, 9))
def test_it_is_symmetric_and_ignores_order_and_a_common_shift(N, M, D, seed):
    first, second = drawn(N, D, seed), drawn(M, D, seed + 10)
    distance = frechet(first, second).distance
    shuffled = np.random.default_rng(seed).permutation(first)
    for other in (
        frechet(second, first),
        frechet(shuffled, second),
        frechet(first + 5, second + 5),
    ):
        assert other.distance == pytest.approx(distance, rel=1e-8, abs=1e-8)
    assert distance >= 0


@pytest.mark.parametrize("distance", [frechet, kernel_distance])
def test_one_clip_or_features_that_are_not_finite_are_refused(distance):
    features = drawn(5, 3, 0)
    with pytest.raises(ValueError, match="2 clips or more, not 1"):
        distance(features, features[:1])
    broken = features.copy()
    broken[3, 1] = np.nan
    with pytest.raises(BadData, match="1 of 5 clips are not finite, first of clip 3"):
        distance(broken, features)


def test_the_kernel_distance_is_the_mean_over_pairs():
    first, second = drawn(6, 4, 1), drawn(5, 4, 2)

    def kernel(x, y):
        return (x @ y / 4 + 1) ** 3

    def within(clips):
        pairs = [
            kernel(a, b)
            for i, a in enumerate(clips)
            for j, b in enumerate(clips)
            if i != j
        ]
        return np.mean(pairs)

    across = np.mean([kernel(a, b) for a in first for b in second])
    expected = within(first) + within(second) - 2 * across
    assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-12)


def test_the_kernel_is_the_one_that_results_name():
    first, second = drawn(6, 400, 1), drawn(5, 400, 2)
    written = KERNEL.replace("x·y", "x @ y.T").replace("³", " ** 3")

    def kernel(x, y):
        return eval(written, {"x": x, "y": y})

    def within(x):
        pairs = kernel(x, x)
        return (pairs.sum() - np.trace(pairs)) / (len(x) * (len(x) - 1))

    expected = within(first) + within(second) - 2 * kernel(first, second).mean()
    assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-12)


def test_the_kernel_distance_has_no_bias_of_few_clips():
    random = np.random.default_rng(0)
    found = [
        kernel_distance(random.normal(size=(8, 5)), random.normal(size=(8, 5)))
        for _ in range(400)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20
    assert min(found) < 0
