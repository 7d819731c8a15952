"""Numbers as curves: training (loss and validation) and unrolled FVD (Fig. 2).

Drawn with matplotlib, without a window system and without its global state: a figure
comes in as panels and leaves as pixels.
"""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from svtcli.render.panels import Curve, Panel

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000", "#e69f00")
"""Okabe and Ito's, which colour-blind people tell apart; yellow is too pale here."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""A second way to tell curves apart, in print too."""
DASHES = ("-", "--", ":", "-.")
"""A third, when colours begin again."""
MARKED = 40
"""With so few points, each is marked."""
INCHES = (7.5, 4.2)
"""Width and height of a panel."""
DOTS = 160
"""Pixels per inch."""
LINE = 105
"""Letters of small print that have room in a line."""


def draw_panels(panels: Sequence[Panel]) -> UInt8[np.ndarray, "height width 3"]:
    """The panels, one above the other."""
    canvas = FigureCanvasAgg(plot(panels))
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def plot(panels: Sequence[Panel]) -> Figure:
    """The same before it has become pixels."""
    width, height = INCHES
    figure = Figure((width, height * len(panels)), dpi=DOTS, layout="constrained")
    cells = figure.subplots(len(panels), squeeze=False)[:, 0]
    for panel, axes in zip(panels, cells, strict=True):
        _draw_panel(panel, axes)
    return figure


def _draw_panel(panel: Panel, axes: Axes) -> None:
    for curve in panel.curves:
        _draw_curve(curve, axes)
    note = wrap(panel.note, LINE)
    axes.set_title(panel.title, loc="left", fontsize=12, pad=6 + 11 * len(note))
    axes.text(
        *(0, 1.02, "\n".join(note)),
        transform=axes.transAxes,
        fontsize=8.5,
        color="0.4",
        parse_math=False,
    )
    axes.set_xlabel(panel.x_name)
    axes.set_ylabel(panel.y_name)
    whole = MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    axes.xaxis.set_major_locator(whole)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _draw_key(axes, len(panel.curves))


def _draw_curve(curve: Curve, axes: Axes) -> None:
    """The line, its points where they are few, its band."""
    again, of = divmod(curve.of, len(COLOURS))
    colour, marker = COLOURS[of], MARKERS[of]
    (line,) = axes.plot(
        curve.x,
        curve.y,
        color=colour,
        linestyle=DASHES[again % len(DASHES)],
        linewidth=1 if curve.quiet else 1.8,
        alpha=0.55 if curve.quiet else 1,
        marker=marker if len(curve.x) <= MARKED and not curve.quiet else "",
        markersize=4.5,
    )
    line.set_label(_plain(curve.label))
    if curve.spread:
        y, spread = np.array(curve.y), np.array(curve.spread)
        axes.fill_between(
            curve.x, y - spread, y + spread, color=colour, alpha=0.18, linewidth=0
        )


def _draw_key(axes: Axes, curves: int) -> None:
    """Inside where there is room for it; long ones beside the axes."""
    if curves > 6:
        key = axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    else:
        key = axes.legend(frameon=False)
    for text in key.get_texts():
        text.set_fontsize(9)
        text.set_parse_math(False)  # a dollar in a run's name begins no formula


def _plain(label: str) -> str:
    """matplotlib leaves labels out of the key that begin with an underscore."""
    return f" {label}" if label.startswith("_") else label
