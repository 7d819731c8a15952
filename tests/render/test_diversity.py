"""The diversity sheet: every sample unaltered in its block, prime frames once."""

import numpy as np
import pytest

from svtcli.render.grid import AMBER
from svtcli.render.groups import caption, groups_of
from svtcli.render.stills import default_times, diversity, diversity_layout
from tests.render.made_up import made_up_samples


def drawn(samples, times, scale=2):
    models = {"walk": samples}
    arguments = (groups_of(models, 8), caption(models), times, scale)
    return diversity(*arguments), diversity_layout(*arguments)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_lies_unaltered_at_its_place(scale, channels):
    samples = made_up_samples(each=5, channels=channels)
    canvas, layout = drawn(samples, (1, 3, 6), scale)
    corners = set()
    for n in range(2):
        for row, video in enumerate([samples.truth[n], *samples.video[n]]):
            for panel, time in enumerate((1, 3, 6)):
                if row and time == 1:
                    continue
                cell = 0 if time == 1 else 1 + 6 * (panel - 1) + row
                frame = np.kron(video[time], np.ones((scale, scale, 1), np.uint8))
                top, left = layout.cell(n, cell)
                on_canvas = canvas[top : top + 12 * scale, left : left + 20 * scale]
                expected = np.repeat(frame, 3 // channels, -1)
                np.testing.assert_array_equal(on_canvas, expected)
                corners.add((top, left))
    assert len(corners) == 2 * (3 + 2 * 5)


def test_sixteen_samples_fill_a_square_below_the_truth():
    _, layout = drawn(made_up_samples(each=16), (1, 6))
    corners = [layout.cell(0, 1 + row) for row in range(1, 17)]
    assert len({top for top, _ in corners}) == 4
    assert len({left for _, left in corners}) == 4
    top, left = layout.cell(0, 1)
    assert corners[0][1] == left
    assert corners[0][0] >= top + layout.sizes.frame[0]


def test_exactly_the_prime_frames_are_marked():
    canvas, layout = drawn(made_up_samples(each=4, prime=2), (0, 1, 2, 6))
    amber = (canvas == AMBER).all(-1)
    height, width = layout.sizes.frame
    for cell, marked in ((0, True), (1, True), (2, False), (7, False)):
        top, left = layout.cell(0, cell)
        for line in (top - 1, top + height):
            assert amber[line, left : left + width].all() == marked
            assert amber[line, left : left + width].any() == marked
    assert not amber[: layout.foot, layout.cell(0, 2)[1] - layout.sizes.mark :].any()


@pytest.mark.parametrize(
    ("clips", "each", "times", "prime", "size"),
    [
        (1, 1, (0,), 1, 8),
        (2, 16, (0, 6), 1, 32),
        (1, 7, (3,), 1, 8),
        (1, 2, (1, 6), 7, 8),
    ],
)
def test_nothing_reaches_into_the_margin(clips, each, times, prime, size):
    samples = made_up_samples(clips, each, 7, (size, size), prime=prime)
    canvas, layout = drawn(samples, times, 1)
    margin = layout.sizes.margin
    inside = canvas[margin:-margin, margin:-margin].astype(int)
    assert canvas.shape[:2] == layout.extent
    assert (canvas.astype(int) != 255).sum() == (inside != 255).sum()


def test_the_words_name_truth_and_samples():
    samples = made_up_samples(clips=1, each=4)
    canvas, layout = drawn(samples, (1, 6))
    height = layout.sizes.frame[0]
    for cell in (0, 2):
        top, left = layout.cell(0, cell)
        beside = canvas[top : top + height, : left - layout.sizes.gap]
        assert (beside != 255).any(), "no word beside the first frame of the line"


@pytest.mark.parametrize(
    ("prime", "frames", "times"),
    [
        (5, 16, (4, 8, 12, 15)),
        (1, 16, (0, 5, 10, 15)),
        (1, 2, (0, 1)),
        (3, 3, (2,)),
        (2, 4, (1, 2, 3)),
    ],
)
def test_frames_told_apart_are_the_last_given_and_three_up_to_the_end(
    prime, frames, times
):
    assert default_times(prime, frames) == times
