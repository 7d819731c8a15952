"""Times of frames: stamps that rise are kept, pauses cut, all others refused."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.video.timing import (
    LONGEST,
    StampsDoNotRise,
    by_stamp,
    nearest_in_time,
)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=40),
    st.sampled_from([1.0, 5.0, 23.976, 30.0, 120.0]),
)
def test_each_tick_takes_the_nearest_frame(gaps: list[int], fps: float) -> None:
    times = (np.cumsum(gaps) / 1000).tolist()
    kept = list(nearest_in_time(zip(times, times, strict=True), fps))
    beats = times[0] + np.arange(len(kept)) / fps
    for beat, time in zip(beats, kept, strict=True):
        nearest = min(abs(t - beat) for t in times)
        assert abs(time - beat) <= nearest + 1e-9
    assert all(a <= b for a, b in pairwise(kept))
    length = times[-1] - times[0]
    assert abs(len(kept) - 1 - length * fps) < 1


def times(stamps: list[float | None], rate: float = 0.0) -> list[float]:
    return [time for time, _ in by_stamp(((stamp, 0) for stamp in stamps), rate)]


def test_stamps_that_rise_are_kept_to_the_bit() -> None:
    stamps: list[float | None] = [-0.3, 0.1, 0.1 + 1 / 3, 5.4, 15.4, 15.401]
    assert times(stamps) == stamps


@pytest.mark.parametrize(
    ("stamps", "rate", "right"),
    [
        ([0.0, 0.5, 3600.0, 3600.5, 7200.0], 25.0, [0, 0.5, 1, 1.5, 2]),
        ([0.0, 3600.0, 3600.5], 25.0, [0, 0.04, 0.54]),
        ([0.0, 3600.0, 3600.5], 0.0, [0, 10, 10.5]),
        ([0.0, 12.0, 24.0, 36.0], 1 / 12, [0, 10, 20, 30]),
    ],
)
def test_a_pause_is_cut_to_the_length_of_the_frame_before(
    stamps: list[float | None], rate: float, right: list[float | int]
) -> None:
    np.testing.assert_allclose(times(stamps, rate), right, atol=1e-6)


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        ([0.0, 0.1, 0.05], "frame 2 is stamped 0.05 s, the one before it 0.1 s"),
        ([0.0, 0.0], "frame 1 is stamped 0 s"),
        ([0.0, 0.1, 0.1 + 1 / 16000], "frame 2 is stamped 0.10006"),
        ([0.0, None], "frame 1 has no time stamp"),
        ([None], "frame 0 has no time stamp"),
    ],
)
def test_stamps_that_do_not_rise_are_named(
    stamps: list[float | None], said: str
) -> None:
    with pytest.raises(StampsDoNotRise, match=said):
        times(stamps)


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30, unique=True),
    st.sampled_from([0.5, 10.0]),
    st.sampled_from([0.0, 1e-4, 30.0]),
)
def test_no_frame_is_repeated_without_bound(
    stamps: list[float | None], fps: float, rate: float
) -> None:
    timed = by_stamp(zip(stamps, range(len(stamps)), strict=True), rate)
    try:
        kept = list(nearest_in_time(timed, fps))
    except StampsDoNotRise:
        return
    assert len(kept) <= len(stamps) * LONGEST * fps + 1
