"""Line charts: every point where its axis says, told in words too."""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from svtcli.render.svg_chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Chart,
    Line,
    chart_figure,
    short,
)
from tests.render.pages import Reader


def line(x, y, spread=(), name=""):
    x, y, spread = (tuple(map(float, each)) for each in (x, y, spread))
    return Line(name, x, y, spread)


def drawn(*lines, **texts):
    words = {"title": "FVD", "x_name": "frame", "y_name": "dB"} | texts
    reader = Reader()
    reader.feed(chart_figure(Chart(lines=lines, **words)))
    return reader.top


def points(node):
    pairs = (pair.split(",") for pair in node.attributes["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def curves(top):
    """The lines of the chart itself, without those of the key."""
    return top.all("svg", role="img")[0].all("polyline")


def places(axes, anchor):
    """Tick labels: their words and where they stand."""
    return [
        (float(node.text), float(node.attributes["x" if anchor == "middle" else "y"]))
        for node in axes.all("text", **{"text-anchor": anchor})
        if node.text not in ("frame", "dB")
    ]


def test_points_lie_where_the_axes_say():
    told = line((0, 1, 2, 3, 4), (10, 14, 12, 18, 20))
    top = drawn(told)
    (axes,) = top.all("g", **{"class": "axes"})
    (curve,) = curves(top)
    columns = dict(places(axes, "middle"))
    rows = {value: y - 4 for value, y in places(axes, "end")}
    shown = points(curve)
    assert len(columns) >= 3
    assert len(rows) >= 3
    for (x, y), (at_x, at_y) in zip(
        zip(told.x, told.y, strict=True), shown, strict=True
    ):
        assert columns.get(x, at_x) == pytest.approx(at_x, abs=0.11)
        assert rows.get(y, at_y) == pytest.approx(at_y, abs=0.11)


finite = st.floats(-1e9, 1e9)


@settings(max_examples=50)
@given(st.lists(st.tuples(finite, finite, st.floats(0, 1e6)), min_size=1, max_size=20))
def test_whatever_is_drawn_lies_inside(values):
    x, y, spread = (tuple(each) for each in zip(*sorted(values), strict=True))
    top = drawn(line(x, y, spread, name="a"), line(x, y, name="b"))
    shapes = [*curves(top), *top.all("polygon")]
    for at_x, at_y in [point for shape in shapes for point in points(shape)]:
        assert LEFT - 0.1 <= at_x <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= at_y <= HEIGHT - BOTTOM + 0.1


@settings(max_examples=50)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(3, 7))
def test_ticks_are_few_round_and_on_the_axis(least, length, about):
    assume(length > 1e-4 * abs(least))
    ticks = Axis(least, least + length, 0.0, 1.0).ticks(about)
    assert len(ticks) <= about + 1
    slack = 1e-6 * length
    assert all(least - slack <= tick <= least + length + slack for tick in ticks)
    for low, high in pairwise(ticks):
        assert f"{high - low:.3e}"[0] in "125"


def test_a_gap_stays_a_gap():
    nan = math.nan
    top = drawn(line((0, 1, 2, 3, 4), (1, 2, nan, 3, 4)))
    assert [len(points(curve)) for curve in curves(top)] == [2, 2]
    assert "nan" not in top.all("svg")[0].attributes["aria-label"]
    lone = drawn(line((0, 1, 2), (1, nan, 3)))
    assert curves(lone) == []
    assert len(lone.all("circle")) == 2, "a lone point is a dot"


def test_a_chart_without_a_number_says_so():
    top = drawn(line((0, 1), (math.nan, math.inf)))
    assert top.all("svg") == []
    assert "no finite numbers" in top.words


def test_the_band_is_the_spread_around_the_line():
    top = drawn(line((0, 1), (10, 20), (2, 4)))
    (band,), (curve,) = top.all("polygon"), curves(top)
    above, below = points(band)[:2], points(band)[2:][::-1]
    for (_, high), (_, middle), (_, low) in zip(
        above, points(curve), below, strict=True
    ):
        assert high < middle < low
        assert middle - high == pytest.approx(low - middle, abs=0.21)
        assert high > TOP
        assert low < HEIGHT - BOTTOM
    assert drawn(line((0, 1), (10, 20))).all("polygon") == []


def test_two_lines_are_told_apart_by_name_and_class():
    top = drawn(line((0, 1), (1, 2), name="mean"), line((0, 1), (2, 3), name="best"))
    (key,) = top.all("ul", **{"class": "key"})
    assert [item.text for item in key.all("li")] == ["mean", "best"]
    both = ["line line0", "line line1"]
    (chart,) = top.all("svg", role="img")
    assert [g.attributes["class"] for g in key.all("g")] == both
    assert [g.attributes["class"] for g in chart.all("g")] == ["axes", *both]
    assert drawn(line((0, 1), (1, 2))).all("ul") == [], "one needs no key"


def test_few_numbers_are_listed_and_many_are_not():
    top = drawn(
        line((5, 6), (1.25, 2), name="a"), line((6, 7), (3, 4), (0.5, 0.1), name="b")
    )
    rows = [[cell.text for cell in row.children] for row in top.all("tr")]
    assert rows == [
        ["frame", "a", "b"],
        ["5", "1.25", ""],
        ["6", "2", "3 ± 0.5"],
        ["7", "", "4 ± 0.1"],
    ]
    many = tuple(range(65))
    assert drawn(line(many, many)).all("table") == []


def test_the_chart_is_told_in_a_sentence():
    (svg,) = drawn(line((0, 1, 2), (5, 1, 3))).all("svg")
    assert svg.attributes["aria-label"] == (
        "FVD, dB by frame. from 5 to 3, least 1, greatest 5."
    )


@pytest.mark.parametrize(
    ("value", "ticks", "said"),
    [
        (0.30000000000000004, (0.1, 0.2, 0.3), "0.3"),
        (-1e-17, (-0.5, 0.0, 0.5), "0.0"),
        (150_000, (100_000, 150_000), "150k"),
        (10_500, (10_000, 10_500), "10.5k"),
        (1500, (1000, 1500), "1500"),
        (2_000_000, (1_000_000, 2_000_000), "2e+06"),
        (0.00001, (0.0, 0.00001), "1e-05"),
    ],
)
def test_axis_numbers_are_short(value, ticks, said):
    assert short(float(value), tuple(map(float, ticks))) == said
