"""The film: truth and samples at play, amber borders while the frames are prime."""

from dataclasses import replace

import numpy as np
import pytest

from svtcli.render.film import film, film_layout
from svtcli.render.grid import AMBER
from svtcli.render.groups import caption, groups_of
from tests.render.made_up import made_up_samples


def drawn(samples, scale=2):
    models = {"walk": samples}
    groups, facts = groups_of(models, 8), caption(models)
    return list(film(groups, facts, scale)), film_layout(groups, facts, scale)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_lies_unaltered_at_its_place(scale, channels):
    samples = made_up_samples(clips=3, channels=channels)
    canvases, layout = drawn(samples, scale)
    assert len(canvases) == 7
    for time, canvas in enumerate(canvases):
        for n in range(3):
            for row, video in enumerate([samples.truth[n], *samples.video[n]]):
                frame = np.kron(video[time], np.ones((scale, scale, 1), np.uint8))
                frame = np.repeat(frame, 3 // channels, -1)
                top, left = layout.cell(n, row)
                on_canvas = canvas[top : top + 12 * scale, left : left + 20 * scale]
                np.testing.assert_array_equal(on_canvas, frame)


@pytest.mark.parametrize("prime", [1, 3, 7])
def test_borders_are_amber_while_frames_are_prime_and_never_after(prime):
    canvases, layout = drawn(made_up_samples(prime=prime))
    height, width = layout.sizes.frame
    for time, canvas in enumerate(canvases):
        amber = (canvas[: layout.foot] == AMBER).all(-1)
        assert amber.any() == (time < prime)
        for n in range(2):
            for row in range(4):
                top, left = layout.cell(n, row)
                around = (
                    *(amber[top - 1, left : left + width],),
                    *(amber[top + height, left : left + width],),
                    *(amber[top : top + height, left - 1],),
                    *(amber[top : top + height, left + width],),
                )
                assert all(side.all() == (time < prime) for side in around)


def test_the_clock_changes_with_every_frame():
    canvases, layout = drawn(made_up_samples())
    head = layout.corner(0)[0]
    assert len({canvas[:head].tobytes() for canvas in canvases}) == 7


@pytest.mark.parametrize(
    ("clips", "each", "across"), [(1, 1, 1), (8, 1, 3), (8, 4, 2), (4, 8, 1)]
)
def test_groups_fill_a_grid_that_a_screen_can_show(clips, each, across):
    samples = made_up_samples(clips, each, 1, (64, 64), prime=1)
    canvases, layout = drawn(samples, 1)
    assert layout.across == across
    assert canvases[0].shape[:2] == layout.extent


@pytest.mark.parametrize(("clips", "each"), [(1, 1), (3, 2), (8, 4)])
def test_nothing_reaches_into_the_margin(clips, each):
    canvases, layout = drawn(made_up_samples(clips, each, size=(8, 8)), 1)
    margin = layout.sizes.margin
    for canvas in canvases:
        inside = canvas[margin:-margin, margin:-margin].astype(int)
        assert (canvas.astype(int) != 255).sum() == (inside != 255).sum()


def test_many_samples_of_a_clip_stand_in_lines_below_each_other():
    samples = made_up_samples(clips=2, each=16, frames=3)
    canvases, layout = drawn(samples)
    for n in range(2):
        corners = []
        for row, video in enumerate([samples.truth[n], *samples.video[n]]):
            top, left = layout.cell(n, row)
            frame = np.kron(video[2], np.ones((2, 2, 1), np.uint8))
            shown = canvases[2][top : top + 24, left : left + 40]
            np.testing.assert_array_equal(shown, frame)
            corners.append((top, left))
        assert corners == sorted(corners)
        assert len({top for top, _ in corners}) == 4


def test_a_long_name_is_cut_and_does_not_push_the_videos_apart():
    samples = made_up_samples(clips=1, each=2, frames=1)
    (group,) = groups_of({"walk": samples}, 1)
    rows = tuple(replace(row, label=row.label * 20) for row in group.rows)
    groups = (replace(group, rows=rows),)
    layout = film_layout(groups, ("walk",), 2)
    pitch = layout.cell(0, 1)[1] - layout.cell(0, 0)[1]
    assert pitch == 13 * layout.sizes.font
    (canvas,) = film(groups, ("walk",), 2)
    for row in (1, 2):
        top, left = layout.cell(0, row)
        above = canvas[top - layout.sizes.line : top - layout.sizes.mark]
        gap = above[:, left - layout.sizes.font // 2 + 2 : left]
        assert (gap == 255).all(), "one name runs into the next"
