"""Charts of a table of runs: each score against the setting with most values.

chart.png, chart.svg   a panel a score; curves by the other settings; bars: ± over seeds
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from svtcli.evaluate.run_scores import lower_is_better
from svtcli.evaluate.run_table import Row, label, notes, score_names
from svtcli.render.curves import Curve, Panel
from svtcli.run.durable import write_atomic
from svtcli.video.encode import png

DECADE = 10.0
"""Ratio of the largest value to the smallest from which an axis is logarithmic."""
APART = 5.0
"""Distance of the points of two curves at one place, in points."""


def draw_sweep(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draw the charts into `out`, over older ones; [] where no setting differs."""
    if not (panels := sweep_panels(rows)):
        return []
    from svtcli.render.charts import draw_panels, panels_svg  # matplotlib takes time

    paths = [out / "chart.png", out / "chart.svg"]
    for path, content in zip(
        paths, (png(draw_panels(panels)), panels_svg(panels)), strict=True
    ):
        write_atomic(path, content)
    return paths


def sweep_panels(rows: Sequence[Row]) -> tuple[Panel, ...]:
    """A panel for each score that two rows or more have."""
    panels = []
    for name in score_names(rows):
        some = [row for row in rows if name in row.scores]
        if len(some) > 1 and some[0].settings:
            panels.append(_panel(name, some))
    return tuple(panels)


def _panel(name: str, rows: Sequence[Row]) -> Panel:
    """A score by the setting with most values, numbers before words."""
    settings = _decisive(name, rows)
    values = {
        key: [*dict.fromkeys(row.settings[key] for row in rows)] for key in settings
    }
    x = max(settings, key=lambda key: (_numeric(values[key]), len(values[key])))
    places = _places(values[x])
    groups: dict[str, list[Row]] = {}
    for row in rows:
        others = (f"{key} {row.settings[key]}" for key in settings if key != x)
        groups.setdefault(", ".join(others), []).append(row)
    curves = [
        _curve(label_, name, some, x, places, number - (len(groups) - 1) / 2, number)
        for number, (label_, some) in enumerate(groups.items())
    ]
    of_paper = _paper(name, rows, x, places, len(curves))
    if of_paper and len(curves) == 1:
        curves = [replace(curves[0], label="here")]
    better = "lower" if lower_is_better(name) else "higher"
    bars = [note.replace("±", "bars") for note in notes(rows)]
    return Panel(
        title=f"{label(name)} by {x}",
        x_name=x,
        y_name=label(name),
        curves=(*curves, *of_paper),
        note="; ".join([f"{better} is better", *bars]),
        ticks=places,
        log=_logarithmic(values[x]),
    )


def _decisive(name: str, rows: Sequence[Row]) -> list[str]:
    """Settings on which the score depends: a likelihood has no temperature."""
    found = []
    for key in rows[0].settings:
        groups: dict[tuple[str, ...], set[float]] = {}
        for row in rows:
            others = tuple(row.settings[each] for each in row.settings if each != key)
            if isfinite(mean := row.scores[name].mean):
                groups.setdefault(others, set()).add(mean)
        if any(len(means) > 1 for means in groups.values()):
            found.append(key)
    return found or list(rows[0].settings)


def _curve(
    words: str,
    name: str,
    rows: Sequence[Row],
    x: str,
    places: dict[str, float],
    aside: float,
    number: int,
) -> Curve:
    """Scores of the rows by their setting `x`; points beside those of other curves."""
    # Of several rows in one place all have the same score.
    here = {places[row.settings[x]]: row.scores[name] for row in rows}
    xs = tuple(sorted(here))
    spread = tuple(here[x].spread or 0.0 for x in xs)
    finite = any(isfinite(score.mean) for score in here.values())
    return Curve(
        words if finite else f"{words} (not finite)".strip(),
        xs,
        tuple(here[x].mean for x in xs),
        spread if any(spread) else (),
        of=number,
        bars=any(spread),
        joined=_numeric(list(places)),
        aside=aside * APART,
    )


def _paper(
    name: str, rows: Sequence[Row], x: str, places: dict[str, float], number: int
) -> list[Curve]:
    """The paper's numbers, where it has any, as points of their own."""
    found = {
        places[row.settings[x]]: row.paper[name] for row in rows if name in row.paper
    }
    if not found:
        return []
    ys = tuple(found.values())
    return [Curve("the paper", tuple(found), ys, of=number, joined=False, aside=APART)]


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
