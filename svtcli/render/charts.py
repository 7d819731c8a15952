"""Panels of curves drawn by matplotlib: pixels for a PNG, or SVG for the report page.

No window system and none of matplotlib's global figures take part. The SVG takes its
colours from the page's style, light or dark.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import isfinite
from textwrap import wrap
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from svtcli.render.curves import Curve, Panel
from svtcli.render.fonts import drawable, families

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000", "#e69f00")
"""Okabe and Ito's, which colour-blind people tell apart; yellow is too pale here."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""A second way to tell curves apart, in print too."""
DASHES = ("-", "--", ":", "-.")
"""A third, when colours begin again."""
TEXT, RULE = "#262626", "#e5e5e5"
ON_PAGE = {TEXT: "var(--quiet)", RULE: "var(--rule)"} | {
    colour: f"var(--line{number})" for number, colour in enumerate(COLOURS)
}
"""Colours of the page's style (page.css) in the place of those above."""
MARKED = 40
"""Most points of a curve that are marked one by one."""
INCHES = (7.5, 4.2)
"""Width and height of a panel of a PNG."""
DOTS = 160
"""Pixels per inch of a PNG."""
PAGE_INCHES = (5.0, 3.1)
"""Size on the page without the key: 360 units wide, about a phone's pixels."""
UNSAID = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""Metadata that an SVG leaves out."""
LINE = 105
"""Letters of small print in a line of a PNG."""
KEY_LINE, KEY_LETTERS = 0.22, 48
"""Height in inches and letters of a line of the key on the page."""


def draw_panels(panels: Sequence[Panel]) -> UInt8[np.ndarray, "height width 3"]:
    """The panels, one above the other."""
    with _defaults(panels):
        canvas = FigureCanvasAgg(plot(panels))
        canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def panels_svg(panels: Sequence[Panel]) -> bytes:
    """The panels as an SVG file, its text as text; equal panels become equal bytes."""
    own: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "svt"}
    with _defaults(panels), rc_context(own):
        file = BytesIO()
        FigureCanvasSVG(plot(panels)).print_svg(file, metadata=UNSAID)
    return file.getvalue()


@contextmanager
def _defaults(panels: Sequence[Panel]) -> Iterator[None]:
    """Matplotlib's defaults, whatever the user's matplotlibrc says; fonts for all."""
    words = [
        each
        for panel in panels
        for each in (panel.title, panel.note, *(curve.label for curve in panel.curves))
    ]
    words += [tick for panel in panels for tick in panel.ticks or ()]
    with rc_context():
        rcdefaults()
        rcParams["font.family"] = families("".join(words))
        yield


def plot(panels: Sequence[Panel]) -> Figure:
    """The figure of the panels, with their titles and keys."""
    width, height = INCHES
    figure = Figure((width, height * len(panels)), dpi=DOTS, layout="constrained")
    cells = figure.subplots(len(panels), squeeze=False)[:, 0]
    for panel, axes in zip(panels, cells, strict=True):
        _draw_axes(panel, axes)
        title, note = drawable(panel.title), wrap(drawable(panel.note), LINE)
        pad = 6 + 11 * len(note)
        heading = axes.set_title(title, loc="left", fontsize=12, pad=pad)
        heading.set_parse_math(False)
        axes.text(
            *(0, 1.02, "\n".join(note)),
            transform=axes.transAxes,
            fontsize=8.5,
            color="0.4",
            parse_math=False,
        )
        if not any(curve.label for curve in panel.curves):
            continue
        if len(panel.curves) > 6:  # no room inside
            key = axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        else:
            key = axes.legend(frameon=False)
        for text in key.get_texts():
            text.set_fontsize(9)
            text.set_parse_math(False)  # a dollar in a run's name begins no formula
    return figure


def panel_svg(panel: Panel, name: str) -> str:
    """An SVG element with the axes of the panel and a key of its labels.

    Title and note are the page's. All ids are unique for a unique `name`.
    """
    labels = ["\n".join(wrap(drawable(c.label), KEY_LETTERS)) for c in panel.curves]
    lines = sum(label.count("\n") + 1 for label in labels) if any(labels) else 0
    width, height = PAGE_INCHES
    # Text stays text, in the reader's font; equal panels become equal bytes.
    own: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 11,
    }
    with _defaults([panel]), rc_context(own):
        figure = Figure((width, height + KEY_LINE * lines), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        _draw_axes(panel, axes)
        if lines:
            key = figure.legend(
                axes.lines,
                labels,
                loc="outside lower left",
                frameon=False,
                fontsize=11,
                labelcolor=TEXT,
            )
            for text in key.get_texts():
                text.set_parse_math(False)
        file = BytesIO()
        FigureCanvasSVG(figure).print_svg(file, metadata=UNSAID)
    return _inline(file.getvalue(), panel)


def summary(panel: Panel) -> str:
    """The panel in a sentence, for those who do not see it."""
    curves = []
    for curve in panel.curves:
        ys = [y for y in curve.y if isfinite(y)]
        if ys:
            label = f"{curve.label}: " if curve.label else ""
            curves.append(
                f"{label}from {ys[0]:.4g} to {ys[-1]:.4g}, lowest {min(ys):.4g}, "
                f"highest {max(ys):.4g}"
            )
    return f"{panel.title}, {panel.y_name} by {panel.x_name}. {'; '.join(curves)}."


def _draw_axes(panel: Panel, axes: Axes) -> None:
    """Everything inside and at the axes."""
    for curve in panel.curves:
        _draw_curve(curve, axes)
    for label in (axes.set_xlabel(panel.x_name), axes.set_ylabel(panel.y_name)):
        label.set_parse_math(False)
        label.set_color(TEXT)
    if panel.log:
        axes.set_xscale("log")
    if panel.ticks is None:
        whole = MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
        axes.xaxis.set_major_locator(whole)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    else:
        _name_ticks(panel.ticks, axes)
    axes.tick_params(color=TEXT, labelcolor=TEXT)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(TEXT)


def _name_ticks(ticks: dict[str, float], axes: Axes) -> None:
    """Labels at the places of the x axis; many letters stand at an angle."""
    axes.xaxis.set_major_locator(FixedLocator(list(ticks.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    letters = sum(map(len, ticks)) + 2 * len(ticks)
    for label in axes.set_xticklabels([drawable(word) for word in ticks]):
        label.set_parse_math(False)
        if letters > 80:
            label.set(rotation=30, ha="right", rotation_mode="anchor")


def _draw_curve(curve: Curve, axes: Axes) -> None:
    """The line, its points where they are few, its band or bars."""
    again, of = divmod(curve.of, len(COLOURS))
    colour, marker = COLOURS[of], MARKERS[of]
    aside = ScaledTranslation(curve.aside / 72, 0, axes.figure.dpi_scale_trans)
    place = axes.transData + aside if curve.aside else axes.transData
    for end in (-1, 1) if curve.aside else ():  # matplotlib's limits ignore what moved
        ends = np.array(curve.y) + end * np.array(curve.spread or 0.0)
        axes.plot(curve.x, ends, linestyle="")
    (line,) = axes.plot(
        curve.x,
        curve.y,
        transform=place,
        color=colour,
        linestyle=DASHES[again % len(DASHES)] if curve.joined else "",
        linewidth=1 if curve.quiet else 1.8,
        alpha=0.55 if curve.quiet else 1,
        marker=marker if len(curve.x) <= MARKED and not curve.quiet else "",
        markersize=4.5,
    )
    # matplotlib leaves labels out of the key that begin with an underscore.
    label = drawable(curve.label)
    line.set_label(f" {label}" if label.startswith("_") else label)
    if curve.bars:
        axes.errorbar(
            curve.x,
            curve.y,
            yerr=curve.spread,
            transform=place,
            fmt="none",
            ecolor=colour,
            capsize=3,
            linewidth=1.2,
        )
    elif curve.spread:
        y, spread = np.array(curve.y), np.array(curve.spread)
        axes.fill_between(
            curve.x, y - spread, y + spread, color=colour, alpha=0.18, linewidth=0
        )


def _inline(svg: bytes, panel: Panel) -> str:
    """An SVG file of matplotlib as an element for a page with a strict policy.

    That policy forbids style attributes: they become presentation attributes.
    """
    root = ET.fromstring(svg)  # noqa: S314 (matplotlib's own)
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg.decode()))
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        for style in node.findall("{*}style"):
            node.remove(style)
        attributes: dict[str, str] = {}
        for key, value in node.attrib.items():
            if key == "style":
                attributes |= _presentation(value)
            elif key != "id" or value in used:
                attributes[key.rpartition("}")[2]] = " ".join(value.split())
        node.attrib = attributes
        node.tail = None
    label = summary(panel)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img"}
    root.attrib["aria-label"] = label
    title = ET.Element("title")
    title.text = panel.title
    root.insert(0, title)
    return ET.tostring(root, encoding="unicode")


def _presentation(style: str) -> dict[str, str]:
    """A style as attributes, its colours those of the page; the font is the page's."""
    pairs = (each.split(":", 1) for each in style.split(";") if ":" in each)
    values = {name.strip(): value.strip() for name, value in pairs}
    return {
        name: ON_PAGE.get(value, value)
        for name, value in values.items()
        if name == "font-size" or not name.startswith("font")
    }
