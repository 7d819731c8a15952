from itertools import pairwise
from math import cos, log, pi, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.clips.bouncing import (
    bouncing_clip,
    clip_rng,
    level_counts,
    lower_bound,
    path_of_digit,
)
from tests.idx_files import handwritten_digits

places = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(np.array)


def test_a_digit_steps_before_it_is_recorded() -> None:
    path = path_of_digit(np.array([0.5, 0.2]), 0.0, 3)  # angle 0 moves along x
    np.testing.assert_allclose(path, [[0.5, 0.3], [0.5, 0.4], [0.5, 0.5]])


def test_a_wall_clamps_and_flips_and_does_not_reflect() -> None:
    path = path_of_digit(np.array([0.5, 0.85]), 0.0, 4)
    # True reflection would be back at 0.95, 0.85, not at 1.0, 0.9.
    np.testing.assert_allclose(path[:, 1], [0.95, 1.0, 0.9, 0.8])
    path = path_of_digit(np.array([0.03, 0.5]), -pi / 2, 3)
    np.testing.assert_allclose(path[:, 0], [0.0, 0.1, 0.2], atol=1e-12)


@given(places, st.floats(0, 2 * pi))
def test_paths_are_those_of_the_published_generator(
    start: np.ndarray, angle: float
) -> None:
    y, x = start
    v_y, v_x = sin(angle), cos(angle)
    for place in path_of_digit(start, angle, 20):
        y, x = y + v_y * 0.1, x + v_x * 0.1
        if x <= 0:
            x, v_x = 0, -v_x
        if x >= 1:
            x, v_x = 1, -v_x
        if y <= 0:
            y, v_y = 0, -v_y
        if y >= 1:
            y, v_y = 1, -v_y
        np.testing.assert_allclose(place, (y, x), atol=1e-9)


def test_digits_are_whole_pixels_over_each_other_by_maximum() -> None:
    digits = np.stack(
        [np.full((28, 28), 100, np.uint8), np.full((28, 28), 7, np.uint8)]
    )
    levels = set()
    for i in range(50):
        video = bouncing_clip(digits, clip_rng(0, "train", i), 2, 20, 64)
        assert video.shape == (20, 64, 64, 1)
        levels |= set(np.unique(video).tolist())
        assert all((frame > 0).sum() <= 2 * 28**2 for frame in video)
    assert levels == {0, 7, 100}


def test_the_top_left_corner_is_truncated_not_rounded() -> None:
    digit = np.zeros((1, 28, 28), np.uint8)
    digit[0, 0, 0] = 255
    for i in range(20):
        video = bouncing_clip(digit, clip_rng(0, "train", i), 1, 20, 64)
        rng = clip_rng(0, "train", i)
        rng.integers(1, size=1)
        path = path_of_digit(
            rng.random((1, 2))[0], float(rng.random(1)[0] * 2 * pi), 20
        )
        corners = np.argwhere(video[..., 0])[:, 1:]
        np.testing.assert_array_equal(corners, np.floor(36 * path))


def test_a_clip_depends_on_seed_split_and_number_alone() -> None:
    digits = handwritten_digits()

    def video(seed: int, split: str, index: int) -> bytes:
        return bouncing_clip(digits, clip_rng(seed, split, index), 2, 5, 64).tobytes()

    videos = [
        video(seed, split, index)
        for seed in (0, 1, -1)
        for split in ("train", "val", "test")
        for index in (0, 1, 2**40)
    ]
    assert len(set(videos)) == len(videos)
    assert video(0, "val", 1) == videos[4]


def test_everything_moves_everywhere() -> None:
    digit = np.zeros((1, 28, 28), np.uint8)
    digit[0, 0, 0] = 255
    seen = np.zeros((64, 64), bool)
    for i in range(400):
        video = bouncing_clip(digit, clip_rng(0, "train", i), 1, 20, 64)
        places = np.argwhere(video[..., 0])
        assert len(places) == 20
        assert all(abs(a - b).max() <= 4 for a, b in pairwise(places[:, 1:]))
        seen |= video.any((0, 3))
    assert seen[:37, :37].mean() > 0.95
    assert not seen[37:].any()
    assert not seen[:, 37:].any()


def test_the_lower_bound_is_the_entropy_of_the_pixels() -> None:
    video = np.array([[0, 255, 51, 51]], np.uint8)  # 51 is z = 0.2
    entropy = -2 * (0.2 * log(0.2) + 0.8 * log(0.8))
    levels = tuple(level_counts(video).tolist())
    assert lower_bound(levels, 1) == pytest.approx(entropy)
    assert lower_bound(levels, 4) == pytest.approx(entropy / 4)
