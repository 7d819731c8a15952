"""Conventions of other projects, and FVD by number of clips, against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.evaluate.fvd.conventions import CONVENTIONS, conventions_of, resizes_of
from svtcli.evaluate.fvd.i3d import as_input, resizing
from svtcli.evaluate.fvd.number_of_clips import extrapolate, number_of_clips
from svtcli.evaluate.fvd.protocol import frechet
from svtcli.failure import Refused
from svtcli.recipe.schema import Compare


def drawn(clips: int, features: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(clips, features)) * np.arange(1, features + 1)


def root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_divisor_is_that_of_the_definition(ddof):
    real, fake = drawn(40, 12, 0), drawn(31, 12, 1) + 1
    S1, S2 = (np.cov(each, rowvar=False, ddof=ddof) for each in (real, fake))
    shared = np.linalg.svd(root(S1) @ root(S2), compute_uv=False).sum()
    apart = real.mean(0) - fake.mean(0)
    expected = apart @ apart + np.trace(S1) + np.trace(S2) - 2 * shared
    assert frechet(real, fake, ddof).distance == pytest.approx(expected, rel=1e-10)


def test_raw_moments_as_in_stylegan_v_and_cd_fvd_give_the_same():
    """Their FeatureStats keeps Σx and Σxxᵀ: covariance E[xxᵀ] - mmᵀ, over N."""
    features = drawn(40, 12, 0)
    mean = features.sum(axis=0) / 40
    theirs = features.T @ features / 40 - np.outer(mean, mean)
    np.testing.assert_allclose(np.cov(features, rowvar=False, ddof=0), theirs)
    assert CONVENTIONS["stylegan-v"] == CONVENTIONS["cd-fvd"]
    assert CONVENTIONS["stylegan-v"].ddof == 0


def test_all_conventions_take_three_passes():
    every = conventions_of(Compare(convention="all"))
    assert list(every) == ["tf", "stylegan-v", "cd-fvd", "videogpt"]
    assert resizes_of(every) == ("tf1", "half-pixel", "crop")
    half = conventions_of(Compare(resize="half-pixel"))
    assert (half["tf"].resize, half["tf"].ddof) == ("half-pixel", 1)
    with pytest.raises(Refused, match="the convention all has its own rule"):
        conventions_of(Compare(resize="half-pixel", convention="all"))


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (64, 64), (57, 91)])
def test_videogpt_crops_the_middle_and_halves_the_range(size):
    """Each pixel by hand: `interpolate(align_corners=False)`, crop, x/255 - 0.5."""
    H, W = size
    video = np.random.default_rng(0).integers(0, 256, (1, 1, H, W, 3), np.uint8)
    found = np.asarray(as_input(jnp.asarray(video), "crop"))[0, 0]
    new = [
        224 if side == min(size) else int(np.ceil(side * 224 / min(size)))
        for side in size
    ]
    for y, x in [(0, 0), (7, 219), (111, 112), (223, 223)]:
        places = []
        for at, old, side in zip((y, x), size, new, strict=True):
            place = max((at + (side - 224) // 2 + 0.5) * old / side - 0.5, 0)
            low = int(place)
            places.append((low, min(low + 1, old - 1), place - low))
        (y0, y1, b), (x0, x1, a) = places
        frame = video[0, 0].astype(float)
        above = frame[y0, x0] * (1 - a) + frame[y0, x1] * a
        below = frame[y1, x0] * (1 - a) + frame[y1, x1] * a
        expected = (above * (1 - b) + below * b) / 255 - 0.5
        np.testing.assert_allclose(found[y, x], expected, atol=1e-5)
    assert resizing(H, W, "crop")[0].shape == (224, H)


@pytest.mark.parametrize("slope", [0.0, 3.0, 250.0])
def test_a_line_in_1_over_n_is_recovered(slope):
    clips = (16, 20, 32, 64)
    found = extrapolate(clips, tuple(7 + slope / n for n in clips))
    assert found == pytest.approx((7, slope), abs=1e-9)


def test_equal_distributions_are_at_no_distance_with_infinitely_many_clips():
    real, fake = (np.random.default_rng(n).normal(size=(120, 4)) for n in (3, 4))
    found = number_of_clips(real, fake)
    assert found.clips[0] == 30
    assert found.clips[-1] == 120
    assert found.fvd[-1] == pytest.approx(frechet(real, fake).distance)
    assert found.fvd[0] > found.fvd[-1] > 0
    assert abs(found.infinite) < 3 * found.error
    low, high = found.interval
    assert low < found.fvd[-1] < high


def test_continuations_are_drawn_with_their_clips():
    """Samples that equal their clips stay at no distance in every subsample."""
    real = drawn(16, 4, 0)
    found = number_of_clips(real, np.concatenate([real, real]), ddof=0)
    assert max(found.fvd) < 1e-9
    assert found.interval[1] < 1e-9
    assert found.error < 1e-9
    uneven = number_of_clips(real, drawn(24, 4, 1))
    assert uneven.interval[0] < uneven.interval[1]
    with pytest.raises(ValueError, match="8 clips or more"):
        number_of_clips(real[:7], real[:7])
