"""The strip: every frame unaltered in its place, amber under prime frames only."""

from dataclasses import replace

import numpy as np
import pytest

from svtcli.render.grid import AMBER
from svtcli.render.groups import caption, groups_of
from svtcli.render.stills import strip, strip_layout
from tests.render.made_up import made_up_samples


def drawn(samples, every=1, scale=2, rows=8):
    models = {"walk": samples}
    groups, facts = groups_of(models, rows), caption(models)
    times = range(0, samples.video.shape[2], every)
    arguments = (groups, facts, times, scale)
    return groups, strip(*arguments), strip_layout(*arguments)


def find(canvas, picture):
    """Corners at which `picture` lies on the canvas, by search."""
    height, width, _ = picture.shape
    rows, columns = np.nonzero((canvas == picture[0, 0]).all(-1))
    return [
        (int(top), int(left))
        for top, left in zip(rows, columns, strict=True)
        if np.array_equal(canvas[top : top + height, left : left + width], picture)
    ]


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("every", [1, 3])
def test_every_frame_lies_unaltered_at_its_place(scale, channels, every):
    samples = made_up_samples(channels=channels)
    _, canvas, layout = drawn(samples, every, scale)
    columns = len(range(0, 7, every))
    for n in range(2):
        rows = [samples.truth[n], *samples.video[n]]
        for row, video in enumerate(rows):
            for column, time in enumerate(range(0, 7, every)):
                frame = np.kron(video[time], np.ones((scale, scale, 1), np.uint8))
                frame = np.repeat(frame, 3 // channels, -1)
                top, left = layout.cell(n, row * columns + column)
                on_canvas = canvas[top : top + 12 * scale, left : left + 20 * scale]
                np.testing.assert_array_equal(on_canvas, frame)


def test_time_runs_right_and_the_truth_stands_above_its_samples():
    samples = made_up_samples(clips=2, each=2, frames=4, prime=1)
    _, canvas, _ = drawn(samples, scale=1)
    corners = {
        (n, row, time): find(canvas, video[time])[0]
        for n in range(2)
        for row, video in enumerate([samples.truth[n], *samples.video[n]])
        for time in range(1, 4)
    }
    assert len(set(corners.values())) == 2 * 3 * 3
    for (n, row, time), (top, left) in corners.items():
        if time > 1:
            assert (top, left) > corners[n, row, time - 1]
            assert top == corners[n, row, time - 1][0]
        if row:
            assert left == corners[n, row - 1, time][1]
            assert top > corners[n, row - 1, time][0]
    between_rows = corners[0, 1, 1][0] - corners[0, 0, 1][0]
    between_groups = corners[1, 0, 1][0] - corners[0, 2, 1][0]
    assert between_groups > between_rows + 12, "groups must stand apart"


@pytest.mark.parametrize("prime", [1, 3, 7])
@pytest.mark.parametrize("every", [1, 2])
def test_exactly_the_prime_frames_are_marked(prime, every):
    samples = made_up_samples(prime=prime)
    groups, canvas, layout = drawn(samples, every)
    amber = (canvas == AMBER).all(-1)
    height, width = layout.sizes.frame
    times = range(0, 7, every)
    for n, group in enumerate(groups):
        for row in range(len(group.rows)):
            for column, time in enumerate(times):
                top, left = layout.cell(n, row * len(times) + column)
                above = amber[top - 1, left : left + width]
                below = amber[top + height, left : left + width]
                marked = time < prime
                assert (above.all(), below.all()) == (marked, marked)
                assert (above.any(), below.any()) == (marked, marked)


def test_nothing_but_ground_and_key_is_amber():
    samples = made_up_samples(clips=1, each=1, prime=2)
    _, canvas, layout = drawn(samples)
    amber = (canvas == AMBER).all(-1)
    (_, first), (_, sampled) = layout.cell(0, 0), layout.cell(0, 2)
    assert not amber[: layout.foot, sampled - 1 :].any()
    assert not amber[: layout.foot, : first - layout.sizes.mark].any()
    assert amber[layout.foot :].sum() == layout.sizes.font**2, "one square explains it"


@pytest.mark.parametrize(
    ("clips", "each", "frames", "size", "scale"),
    [(1, 1, 8, 32, 1), (1, 1, 1, 8, 1), (8, 4, 30, 64, 2), (2, 2, 101, 8, 1)],
)
def test_margins_are_white_and_even(clips, each, frames, size, scale):
    samples = made_up_samples(clips, each, frames, (size, size), prime=1)
    _, canvas, layout = drawn(samples, scale=scale)
    inked = (canvas != 255).any(-1)
    rows, columns = (np.nonzero(inked.any(axis))[0] for axis in (1, 0))
    margin = layout.sizes.margin
    for free in (rows[0], columns[0], canvas.shape[0] - 1 - rows[-1]):
        assert margin <= free <= 2 * margin
    assert canvas.shape[1] - 1 - columns[-1] >= margin


def test_frame_numbers_of_narrow_frames_do_not_run_into_each_other():
    samples = made_up_samples(1, 1, 101, (8, 8), prime=1)
    _, canvas, layout = drawn(samples, scale=1)
    sizes, (top, _) = layout.sizes, layout.cell(0, 0)
    numbers = canvas[top - sizes.gap - sizes.line : top - sizes.gap]
    inked = (numbers != 255).any((0, 2))
    widest = sizes.width("100")
    for column in range(2, 101):
        left = layout.cell(0, column)[1] + (8 - widest) // 2
        assert inked[left : left + widest].any()
        assert not inked[left - sizes.gap : left].any()


def test_labels_numbers_and_caption_change_the_picture():
    samples = made_up_samples(clips=1, each=2)
    groups, canvas, layout = drawn(samples)
    for row in range(3):
        top, left = layout.cell(0, row * 7)
        label = canvas[top : top + layout.sizes.frame[0], : left - layout.sizes.gap]
        assert (label != 255).any(), "a row without its label"
    other = strip(groups, ("another run",), range(7), 2)
    assert not np.array_equal(other[layout.foot :], canvas[layout.foot :])


def test_a_limit_on_rows_keeps_the_first_clips():
    groups = groups_of({"walk": made_up_samples(clips=5)}, 2)
    assert [group.title for group in groups] == ["clip-0", "clip-1"]


def test_the_caption_says_what_made_the_samples():
    facts = caption({"walk": made_up_samples()})
    assert facts == (
        "walk",
        "step 300",
        "temperature 0.9",
        "2 prime frames, 5 sampled",
    )


@pytest.mark.parametrize(
    ("every", "said"),
    [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")],
)
def test_the_caption_says_which_frames_are_left_out(every, said):
    _, _, layout = drawn(made_up_samples(1, 1, 24), every)
    assert layout.facts[-1] == f"every {said} frame"


def test_the_caption_says_how_codes_were_drawn_where_it_is_unusual():
    samples = made_up_samples()
    usual = caption({"walk": samples})

    def said(**facts):
        other = replace(samples, facts=replace(samples.facts, **facts))
        return caption({"walk": other})

    rule = ("top-k 40", "top-p 0.95", "bfloat16")
    unusual = said(top_k=40, top_p=0.95, precision="bfloat16")
    assert unusual == (*usual[:3], *rule, *usual[3:])
    assert said(deterministic=True) == (*usual[:2], "deterministic", *usual[3:])
