"""In float32 the schedules' samples are the same, but where two values nearly tie.

The same position, computed in passes of different shape, differs in its last bits.
"""

import numpy as np

from tests.sampling.enumerated import (
    CONFIGS,
    FREE,
    drawn,
    first_differences,
    keys_of_draws,
    sharp_network,
    slices_with_margins,
)

TIE = 1e-5
"""Perturbed logits that are closer are a near tie."""


def near_ties(slices: list[tuple[np.ndarray, np.ndarray]]) -> int:
    """In how many codes a rounding may decide."""
    return sum(int((margin < TIE).sum()) for _, margin in slices)


def test_schedules_differ_at_near_ties_alone():
    config = CONFIGS["subscaled"]
    true = drawn("subscaled", "sequential", FREE).video
    slices = slices_with_margins(
        sharp_network(config), config, true, 1, keys_of_draws(), 1.0
    )
    assert near_ties(slices) < 10  # of 16,000 codes
    for schedule in ("parallel", "guess"):
        other = drawn("subscaled", schedule, FREE).video
        at = first_differences(slices, config, other, 1)
        assert (at < TIE).all(), schedule
        assert len(at) <= near_ties(slices)


def test_a_difference_is_found_with_its_margin():
    config = CONFIGS["subscaled"]
    true = drawn("subscaled", "sequential", FREE).video
    slices = slices_with_margins(
        sharp_network(config), config, true, 1, keys_of_draws(), 1.0
    )
    other = true.copy()
    other[3, 1, 0, 1] ^= 4  # the coarse code of the second pixel
    (margin,) = first_differences(slices, config, other, 1)
    assert margin == slices[0][1][3, 1, 0]
