"""Curves: the numbers as they are, colours that differ, words that have room."""

import importlib
import sys
from math import nan

import numpy as np
from matplotlib import rc_context

from svtcli.render import charts
from svtcli.render.charts import COLOURS, ON_PAGE, draw_panels, panel_svg, plot, summary
from svtcli.render.curves import Curve, Panel
from tests.render.pages import Reader

STEPS, SCORES = (10.0, 20.0, 30.0), (8.0, nan, 2.0)


def panel(*curves, note=""):
    return Panel("Training", "step", "bits/dim", curves, note)


def test_lines_bands_and_names_are_those_of_the_numbers():
    one = Curve("a", STEPS, SCORES)
    two = Curve("_b $x$", STEPS, (3.0, 2.0, 1.0), (0.5, 0.25, 0.5), of=1)
    (axes,) = plot([panel(one, two, note="of $10 clips")]).axes
    for line, curve in zip(axes.lines, (one, two), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), curve.x)
        np.testing.assert_array_equal(line.get_ydata(), curve.y)
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} >= {(10, 3.5), (20, 1.75), (30, 0.5)}
    named = [text.get_text().strip() for text in axes.get_legend().get_texts()]
    assert named == ["a", "_b $x$"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "bits/dim")
    assert axes.get_title(loc="left") == "Training"
    assert axes.texts[0].get_text() == "of $10 clips"


def test_many_curves_differ_in_colour_or_dashes():
    many = [Curve(str(n), STEPS, SCORES, of=n) for n in range(2 * len(COLOURS))]
    (axes,) = plot([panel(*many)]).axes
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == len(many)


def test_nothing_is_cut_off_at_the_edge():
    long = "a note of very many words " * 8
    lines = [Curve(f"run number {n}", STEPS, SCORES, of=n) for n in range(9)]
    picture = draw_panels([panel(*lines, note=long), panel(lines[0])])
    height, width, _ = picture.shape
    assert (width, height) == (1200, 1344)
    edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    assert all((edge == 255).all() for edge in edges)
    assert (picture != 255).any((1, 2)).mean() > 0.7


def drawn(panel, name="a"):
    """The panel's SVG as a tree."""
    reader = Reader()
    reader.feed(panel_svg(panel, name))
    return reader.top.all("svg")[0]


def test_the_page_has_the_same_lines_in_its_own_colours_and_font():
    curves = [Curve(f"run {n}", STEPS, (3.0, 2.0, 1.0), of=n) for n in range(9)]
    band = Curve("band", STEPS, (3.0, 2.0, 1.0), (0.5, 0.5, 0.5), of=1)
    svg = drawn(panel(*curves, band))
    colours = {
        value
        for node in svg.all()
        for name, value in node.attributes.items()
        if name in ("fill", "stroke") and value != "none"
    }
    assert colours == set(ON_PAGE.values())
    assert not {"style", "font-family"} & {
        name for node in svg.all() for name in node.attributes
    }
    assert svg.all("style") == svg.all("metadata") == []
    texts = [text.text for text in svg.all("text")]
    assert {"step", "bits/dim", *(f"run {n}" for n in range(9))} <= set(texts)


def test_a_single_nameless_curve_has_no_key_and_a_gap_stays_a_gap():
    (one,) = panel(Curve("", STEPS, SCORES)).curves
    svg = drawn(panel(one))
    assert {text.text for text in svg.all("text")} >= {"step", "bits/dim"}
    (path,) = [
        node.attributes["d"]
        for node in svg.all("path")
        if node.attributes.get("stroke") == ON_PAGE[COLOURS[0]]
        and node.attributes.get("fill") == "none"
    ]
    assert path.count("M") == 2
    assert "nan" not in summary(panel(one))


def test_equal_panels_are_equal_bytes_and_two_charts_of_a_page_share_no_id():
    one = panel(Curve("a", STEPS, (3.0, 2.0, 1.0)))
    assert panel_svg(one, "a") == panel_svg(one, "a")
    ids = [
        node.attributes["id"]
        for name in ("a", "b")
        for node in drawn(one, name).all()
        if "id" in node.attributes
    ]
    assert ids
    assert len(ids) == len(set(ids))


def test_the_user_s_own_style_of_matplotlib_changes_nothing():
    one = panel(Curve("a", STEPS, (3.0, 2.0, 1.0)))
    svg, pixels = panel_svg(one, "a"), draw_panels([one])
    own = {"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9}
    with rc_context(own):
        assert panel_svg(one, "a") == svg
        assert np.array_equal(draw_panels([one]), pixels)


def test_the_chart_is_described_in_a_sentence():
    one = panel(Curve("run", STEPS, SCORES))
    svg = drawn(one)
    assert svg.attributes["role"] == "img"
    assert svg.attributes["aria-label"] == summary(one)
    assert svg.all("title")[0].text == "Training"
    assert summary(one) == (
        "Training, bits/dim by step. run: from 8 to 2, lowest 2, highest 8."
    )


def test_the_global_state_of_matplotlib_is_not_touched(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # not to be imported
    importlib.reload(charts)
    charts.plot([panel(Curve("a", (1.0,), (2.0,)))])


def test_any_name_of_a_folder_can_be_drawn():
    odd = "_a\x1b[0m\udcff $x$ <b>"
    curves = (Curve(odd, STEPS, SCORES), Curve("b", STEPS, SCORES, of=1))
    one = Panel(odd, "step", "bits/dim", curves, odd)
    draw_panels([one])
    texts = {text.text for text in drawn(one).all("text")}
    assert "_a?[0m? $x$ <b>" in texts
