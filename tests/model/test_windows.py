import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.failure import Refused
from svtcli.model.windows import Window, passes, windows
from tests.tiny import VARIANTS

FOUR = VARIANTS["spatiotemporal"]  # a window of 4 frames
SINGLE = VARIANTS["single frame"]  # the same, frame by frame


def test_a_window_is_primed_on_the_end_of_the_one_before():
    assert list(windows(FOUR, 10, prime=1, overlap=1)) == [
        Window(0, 1, 4),
        Window(3, 1, 4),
        Window(6, 1, 4),
    ]


def test_a_last_window_moves_back_and_keeps_all_that_is_known():
    assert list(windows(FOUR, 6, prime=1, overlap=1)) == [
        Window(0, 1, 4),
        Window(2, 2, 4),
    ]


def test_a_prime_longer_than_the_window_starts_late():
    assert next(windows(FOUR, 12, prime=5, overlap=1)) == Window(4, 1, 4)
    assert next(windows(FOUR, 6, prime=5, overlap=1)) == Window(2, 3, 4)


def test_a_single_frame_model_moves_on_by_one_frame():
    assert list(windows(SINGLE, 6, prime=1, overlap=1)) == [
        Window(0, 1, 4),
        Window(1, 3, 4),
        Window(2, 3, 4),
    ]
    assert list(windows(SINGLE, 3, prime=1, overlap=1)) == [Window(0, 1, 3)]
    assert list(windows(SINGLE, 7, prime=6, overlap=1)) == [Window(3, 3, 4)]


@given(
    frames=st.integers(4, 20),
    prime=st.integers(1, 19),
    overlap=st.integers(1, 3),
    config=st.sampled_from([FOUR, SINGLE]),
)
def test_every_frame_after_the_prime_is_in_one_window(frames, prime, overlap, config):
    if prime >= frames:
        return
    known = prime
    for window in windows(config, frames, prime, overlap):
        assert window.start >= 0
        assert window.start + window.prime == known
        assert 0 < window.prime < window.stop <= config.video[0]
        known = window.start + window.stop
    assert known == frames


@pytest.mark.parametrize(
    ("frames", "prime", "overlap", "says"),
    [(4, 4, 1, "prime"), (3, 1, 1, "shorter"), (8, 1, 4, "overlap")],
)
def test_lengths_that_no_windows_fit_are_refused(frames, prime, overlap, says):
    with pytest.raises(Refused, match=says):
        list(windows(FOUR, frames, prime, overlap))


def test_passes_walk_the_slices_of_every_window():
    walked = list(passes(FOUR, 6, prime=1, overlap=1))
    assert [(each.window.start, each.index) for each in walked] == [
        *((0, index) for index in range(8)),
        *((2, index) for index in range(8)),
    ]
    assert [each.frames for each in walked[::4]] == [(0, 2), (1, 3), (2, 4), (3, 5)]
    assert [each.prime_frames for each in walked[::4]] == [1, 0, 1, 1]
    assert not any(each.first for each in walked)
    first = list(passes(VARIANTS["first slice decoder"], 6, prime=1, overlap=1))
    assert [each.first for each in first] == [each.index == 0 for each in first]
