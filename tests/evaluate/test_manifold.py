"""Precision, recall, density and coverage, beside brute force and closed forms."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from svtcli.evaluate.manifold import coverage, density, precision, recall

ALL = (precision, recall, density, coverage)


def sets(N=40, M=30, D=6, seed=0):
    random = np.random.default_rng(seed)
    scale = random.uniform(0.5, 2, D)
    real, fake = random.normal(size=(N, D)) * scale, random.normal(size=(M, D)) + 0.4
    return real.astype(np.float32), fake.astype(np.float32)


def brute_force(real, fake):
    """The four numbers by whole matrices of distances, as the papers define them."""

    def radii(x, k):
        return NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, k]

    real, fake = real.astype(np.float64), fake.astype(np.float64)
    apart = np.linalg.norm(real[:, None] - fake[None], axis=-1)  # [N, M]
    within = apart < radii(real, 5)[:, None]
    return (
        (apart <= radii(real, 3)[:, None]).any(axis=0).mean(),
        (apart <= radii(fake, 3)[None]).any(axis=1).mean(),
        within.sum(axis=0).mean() / 5,
        within.any(axis=1).mean(),
    )


@pytest.mark.parametrize("seed", range(4))
def test_all_four_equal_brute_force(seed):
    real, fake = sets(seed=seed)
    found = [metric(real, fake) for metric in ALL]
    assert found == pytest.approx(brute_force(real, fake), abs=1e-12)
    assert min(found) > 0
    assert found[0] < 1


def test_equal_sets_are_covered_whole():
    real, _ = sets()
    assert [metric(real, real[::-1]) for metric in ALL] == pytest.approx([1, 1, 1, 1])


def test_distant_sets_share_nothing():
    real, fake = sets()
    assert [metric(real, fake + 1000) for metric in ALL] == [0, 0, 0, 0]


def test_copies_of_one_clip_are_precise_and_cover_little():
    real, _ = sets()
    copies = np.repeat(real[:1], 20, axis=0)
    assert precision(real, copies) == 1
    assert recall(real, copies) == 1 / len(real)
    assert coverage(real, copies) < 0.5


def test_points_on_a_line_in_closed_form():
    # Radii for k = 3: 3 2 2 … 2 2 3; for k = 5: 5 4 3 … 3 4 5.
    real = np.arange(10.0)[:, None]
    on_the_surface, outside = np.array([[12.0]]), np.array([[12.001]])
    assert precision(real, on_the_surface) == 1  # of the ball around 9
    assert precision(real, outside) == 0
    assert density(real, np.array([[10.5]])) == 2 / 5  # balls around 8 and 9
    assert coverage(real, np.array([[10.5]])) == 2 / 10
    assert density(real, np.array([[14.0]])) == 0  # on the surface, which is left out


@pytest.mark.parametrize("metric", ALL)
def test_rotation_shift_and_scale_change_nothing(metric):
    real, fake = sets()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    moved = [each.astype(np.float64) @ turn * 3 + 7 for each in (real, fake)]
    assert metric(*moved) == metric(real, fake)


def test_too_few_points_have_no_neighbour():
    real, fake = sets()
    with pytest.raises(ValueError, match="3 points have no 3-th nearest"):
        precision(real[:3], fake)
