"""Curves: the numbers as they are, colours that differ, words that have room."""

import importlib
import sys
from math import nan

import numpy as np

from svtcli.render import charts as curves
from svtcli.render.charts import COLOURS, draw_panels, plot
from svtcli.render.panels import Curve, Panel

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


def test_the_global_state_of_matplotlib_is_not_touched(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # not to be imported
    importlib.reload(curves)
    curves.plot([panel(Curve("a", (1.0,), (2.0,)))])
