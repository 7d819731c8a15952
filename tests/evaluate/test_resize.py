"""Resizing as the reference of FVD does it."""

import numpy as np
import pytest

from svtcli.evaluate.fvd.i3d import bilinear_weights


@pytest.mark.parametrize("resize", ["tf1", "half-pixel"])
@pytest.mark.parametrize("old", [1, 48, 64, 224, 340])
def test_every_pixel_is_an_average_of_old_ones(old, resize):
    weights = bilinear_weights(old, 224, resize)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=0, atol=1e-12)


def test_tensorflow_takes_the_first_pixels_and_repeats_the_last():
    weights = bilinear_weights(2, 4, "tf1")
    np.testing.assert_array_equal(weights, [[1, 0], [0.5, 0.5], [0, 1], [0, 1]])


def test_half_pixel_is_symmetric_and_what_pytorch_does():
    weights = bilinear_weights(2, 4, "half-pixel")
    expected = [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize("resize", ["tf1", "half-pixel"])
def test_frames_of_224_stay_as_they_are(resize):
    np.testing.assert_array_equal(bilinear_weights(224, 224, resize), np.eye(224))
