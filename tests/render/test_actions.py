"""Actions as arrows: their place, direction and length in every kind of picture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svtcli.failure import Refused
from svtcli.recipe.load import load_recipe
from svtcli.recipe.schema import Render
from svtcli.render.film import film, film_layout
from svtcli.render.groups import caption, groups_of, model_names
from svtcli.render.page import page_html
from svtcli.render.stage import check, plan_drawings
from svtcli.render.stills import strip, strip_layout
from svtcli.video.image import draw_arrow
from tests.render.made_up import made_up_actions, made_up_samples
from tests.render.pages import made_up_page

ARROWS = Render(("png",), actions=True)


def side(ink):
    """The sides of a square, by weight of ink: left, right, top, bottom."""
    half = len(ink) // 2
    parts = ink[:, :half], ink[:, -half:], ink[:half], ink[-half:]
    return [int(part.astype(int).sum()) for part in parts]


def test_an_arrow_points_where_it_should_and_is_as_long():
    for right, up, heavy, light in (
        (1.0, 0.0, 1, 0),
        (-1.0, 0.0, 0, 1),
        (0.0, 1.0, 2, 3),
    ):
        weights = side(draw_arrow(right, up, 40))
        assert weights[heavy] > 1.3 * weights[light]
    spans = [np.nonzero(draw_arrow(n, 0.0, 40).any(0))[0] for n in (1.0, 0.5, 0.25)]
    lengths = [int(each[-1] - each[0]) for each in spans]
    assert lengths == pytest.approx([34, 17, 9], abs=2)
    dot = draw_arrow(0.0, 0.0, 40)
    assert np.argwhere(dot).mean(0) == pytest.approx([19.5, 19.5], abs=0.5)
    assert (dot > 0).sum() < 90


def test_rows_are_labelled_by_the_actions_that_they_follow():
    def labels(samples, several=None, **options):
        models = {"walk": samples, **(several or {})}
        return [row.label for row in groups_of(models, 1, **options)[0].rows][1:]

    assert labels(made_up_actions()) == ["own", "zero"]
    assert labels(made_up_actions(each=4)) == ["own 1", "own 2", "zero 1", "zero 2"]
    assert labels(made_up_actions(each=4), each=1) == ["own", "zero"]
    assert labels(made_up_actions(("own",), 2)) == ["sample 1", "sample 2"]
    assert labels(made_up_actions(("zero",), 1)) == ["zero"]
    other = {"jog": made_up_actions(("own",), 1)}
    assert labels(made_up_actions(), other) == ["walk own", "walk zero", "jog"]


def test_samples_under_other_actions_stand_side_by_side():
    one, other = made_up_actions(("own",), 1), made_up_actions(("zero", "up"), 2)
    names = model_names((Path("a"), Path("b")), (one, other))
    assert names == ["own", "zero up"]
    models = dict(zip(names, (one, other), strict=True))
    rows = groups_of(models, 1)[0].rows
    assert [row.label for row in rows] == ["ground truth", "own", "zero", "up"]
    np.testing.assert_array_equal(rows[2].video, other.video[0, 0])


def test_every_row_shows_the_samples_and_arrows_of_its_set():
    samples = made_up_actions(each=4)
    (group,) = groups_of({"walk": samples}, 1, arrows=True)
    truth, *rows = group.rows
    assert truth.arrows == ((1.0, 0.0),) * 7, "the longest has length 1"
    for m, row in enumerate(rows):
        np.testing.assert_array_equal(row.video, samples.video[0, m])
        still = (0.0, 0.0) if m >= 2 else (1.0, 0.0)
        assert row.arrows == ((1.0, 0.0),) * 2 + (still,) * 5
    assert not any(row.arrows for row in groups_of({"walk": samples}, 1)[0].rows)


@pytest.mark.parametrize(("size", "up"), [(1, 0.0), (2, 0.6), (5, 0.6)])
def test_an_arrow_has_the_first_two_numbers(size, up):
    samples = made_up_actions(numbers=size)
    samples.truth_actions[0, 0, :2] = (0.8, 0.6)[:size]
    (group, _) = groups_of({"walk": samples}, 2, arrows=True)
    assert group.rows[0].arrows[0] == pytest.approx((0.4, up / 2))
    *_, fact = caption({"walk": samples}, arrows=True)
    assert ("first two of 5" in fact) == (size == 5)


def test_actions_that_are_all_zero_are_dots():
    samples = made_up_actions()
    samples.truth_actions[:], samples.actions[:] = 0, 0
    (group, _) = groups_of({"walk": samples}, 2, arrows=True)
    assert {*group.rows[0].arrows} == {(0.0, 0.0)}


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("size", [(12, 20), (64, 64)])
def test_arrows_lie_below_their_frames_and_cover_none(scale, size):
    samples = made_up_actions(size=size)
    groups = groups_of({"walk": samples}, 2, arrows=True)
    facts, times = caption({"walk": samples}, arrows=True), (0, 3, 6)
    canvas = strip(groups, facts, times, scale)
    layout = strip_layout(groups, facts, times, scale)
    dial = layout.sizes.dial
    for n, group in enumerate(groups):
        for row, each in enumerate(group.rows):
            for column, time in enumerate(times):
                top, left = layout.cell(n, 3 * row + column)
                shown = canvas[
                    top : top + scale * size[0], left : left + scale * size[1]
                ]
                frame = np.repeat(np.repeat(each.video[time], scale, 0), scale, 1)
                np.testing.assert_array_equal(shown, frame)
                down, right = layout.sizes.below((top, left))
                drawn = canvas[down : down + dial, right : right + dial]
                ink = (drawn < 100).all(-1).sum()
                dot = each.arrows[time] == (0.0, 0.0)
                assert ink > 0
                assert (ink < 0.06 * dial**2) == dot


def test_a_film_shows_the_arrow_of_the_moment():
    samples = made_up_actions(size=(64, 64))
    groups = groups_of({"walk": samples}, 2, arrows=True)
    layout = film_layout(groups, (), 1)
    dial, dark = layout.sizes.dial, []
    for canvas in film(groups, (), 1):
        down, right = layout.sizes.below(layout.cell(0, 2))
        corner = down + layout.sizes.mark, right
        drawn = canvas[corner[0] : corner[0] + dial, corner[1] : corner[1] + dial]
        dark.append(int((drawn < 100).all(-1).sum()))
    assert len(set(dark[:2])) == len(set(dark[2:])) == 1
    assert dark[0] > 2 * dark[2] > 0


def test_the_page_has_the_arrows_of_each_row():
    models = {"walk": made_up_actions()}
    text = page_html(made_up_page(groups=groups_of(models, 1, arrows=True)))
    still = " ".join(["1.000,0.000"] * 2 + ["0.000,0.000"] * 5)
    assert text.count(f'data-arrows="{still}"') == 1
    assert text.count("data-arrows=") == 3
    assert "data-arrows=" not in page_html(made_up_page())


def test_the_caption_says_what_the_names_mean():
    own = "own: the clip's actions"
    facts = caption({"walk": made_up_actions()}, arrows=True)
    assert facts[-3:] == (own, "zero: no action", "arrows: each frame's action")
    assert own not in caption({"walk": made_up_actions(("own",))})


@pytest.mark.parametrize(
    ("samples", "settings", "sentence"),
    [
        (made_up_samples(), ARROWS, "no actions are stored with the samples of walk"),
        (
            made_up_actions(),
            replace(ARROWS, diversity=True),
            "a diversity sheet shows samples",
        ),
        (
            made_up_actions(),
            Render(("png",), diversity=True),
            "under one set of actions",
        ),
    ],
)
def test_pictures_that_cannot_show_actions_are_refused(samples, settings, sentence):
    with pytest.raises(Refused, match=sentence):
        plan_drawings({"walk": samples}, settings)


def test_a_recipe_without_actions_has_none_to_draw(acting_place):
    recipe = load_recipe("mine.yaml").recipe
    check(replace(recipe, render=ARROWS))
    with pytest.raises(Refused, match="this model takes no actions"):
        check(replace(recipe, render=ARROWS, model=replace(recipe.model, actions=0)))
