"""Charts of a table of runs: each score against the setting with most values.

chart.png, chart.svg   a panel a score; curves by the other settings; bars: ± over seeds
"""

from collections.abc import Sequence
from functools import partial
from math import isfinite
from pathlib import Path

from svtcli.evaluate.run_scores import lower_is_better
from svtcli.evaluate.run_table import Row, label, notes, score_names
from svtcli.render.curves import Curve, Panel
from svtcli.render.pictures import write_pictures
from svtcli.run.durable import write_atomic
from svtcli.run.progress import Progress
from svtcli.video.encode import write_png

DECADE = 10.0
"""Ratio of the largest value to the smallest from which an axis is logarithmic."""
APART = 0.04
"""Distance of the curves' points above one category."""


def draw_sweep(rows: Sequence[Row], out: Path, progress: Progress) -> list[Path]:
    """Draw the charts into `out`, over older ones; [] where no setting differs."""
    panels = sweep_panels(rows)
    draws = {"chart.png": partial(_png, panels), "chart.svg": partial(_svg, panels)}
    return write_pictures(draws, out, progress, True, False) if panels else []


def sweep_panels(rows: Sequence[Row]) -> tuple[Panel, ...]:
    """A panel for each score that two rows or more have."""
    settings = list(rows[0].settings) if rows else []
    if not settings or len(rows) < 2:
        return ()
    values = {key: _distinct([row.settings[key] for row in rows]) for key in settings}
    x = max(settings, key=lambda key: (_numeric(values[key]), len(values[key])))
    places = _places(values[x])
    others = [key for key in settings if key != x]
    panels = []
    for name in score_names(rows):
        some = [row for row in rows if name in row.scores]
        if len(some) > 1:
            better = "lower" if lower_is_better(name) else "higher"
            bars = [note.replace("±", "bars") for note in notes(some)]
            panels.append(
                Panel(
                    title=f"{label(name)} by {x}",
                    x_name=x,
                    y_name=label(name),
                    curves=_curves(name, some, x, others, places),
                    note="; ".join([f"{better} is better", *bars]),
                    ticks=places,
                    log=_logarithmic(values[x]),
                )
            )
    return tuple(panels)


def _curves(
    name: str, rows: Sequence[Row], x: str, others: list[str], places: dict[str, float]
) -> tuple[Curve, ...]:
    """A curve for each combination of the other settings, and the paper's numbers."""
    numeric = _numeric(list(places))
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.settings[key] for key in others), []).append(row)
    curves = []
    for number, (values, some) in enumerate(groups.items()):
        some = sorted(some, key=lambda row: places[row.settings[x]])
        beside = 0.0 if numeric else APART * (number - (len(groups) - 1) / 2)
        scores = [row.scores[name] for row in some]
        spread = tuple(each.spread or 0.0 for each in scores)
        curves.append(
            Curve(
                ", ".join(
                    f"{key} {value}" for key, value in zip(others, values, strict=True)
                ),
                tuple(places[row.settings[x]] + beside for row in some),
                tuple(each.mean for each in scores),
                spread if any(spread) else (),
                of=number,
                bars=any(spread),
                joined=numeric,
            )
        )
    of_paper = [row for row in rows if name in row.paper]
    if of_paper:
        xs = tuple(places[row.settings[x]] for row in of_paper)
        ys = tuple(row.paper[name] for row in of_paper)
        curves.append(Curve("the paper", xs, ys, of=len(curves), joined=False))
        if len(curves) == 2 and not curves[0].label:
            curves[0] = Curve(**{**vars(curves[0]), "label": "here"})
    return tuple(curves)


def _places(values: Sequence[str]) -> dict[str, float]:
    """Place of each value on the axis: its number, or its rank."""
    if _numeric(values):
        return {value: float(value) for value in sorted(values, key=float)}
    return {value: float(place) for place, value in enumerate(values)}


def _numeric(values: Sequence[str]) -> bool:
    try:
        return all(isfinite(float(value)) for value in values)
    except ValueError:
        return False


def _logarithmic(values: Sequence[str]) -> bool:
    """Return True for positive numbers that span a decade or more."""
    numbers = [float(value) for value in values] if _numeric(values) else [0.0]
    return min(numbers) > 0 and max(numbers) / min(numbers) >= DECADE


def _distinct(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _png(panels: Sequence[Panel], path: Path) -> None:
    from svtcli.render.charts import draw_panels  # matplotlib takes its time

    write_png(path, draw_panels(panels))


def _svg(panels: Sequence[Panel], path: Path) -> None:
    from svtcli.render.charts import panels_svg

    write_atomic(path, panels_svg(panels))
