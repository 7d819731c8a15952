"""Line charts as SVG inside of a page: they take its colours, light or dark.

Sizes are in units of the drawing, which is 360 wide, so that on a phone a unit is about
a pixel and the text stays legible.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from svtcli.render.markup import Markup, element, join, scrolling

WIDTH, HEIGHT = 360.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 10.0, 10.0, 38.0
"""Room for the numbers and names of the axes."""
LINES = 4
"""Kinds of lines that the page's style tells apart, by colour and by dashes."""
DOTTED = 40
"""With so few points, each is marked."""
LISTED = 64
"""With so few, all numbers are listed below the chart."""


@dataclass(frozen=True)
class Line:
    """One curve; a value that is not finite leaves a gap."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    spread: tuple[float, ...] = ()
    """Half the height of the band around each point; () for none."""


@dataclass(frozen=True)
class Chart:
    """What one chart shows."""

    title: str
    x_name: str
    y_name: str
    lines: tuple[Line, ...]
    note: str = ""
    """What a reader has to know; small print."""


@dataclass(frozen=True)
class Axis:
    """From values to places in the drawing."""

    least: float
    most: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies, to a tenth of a unit."""
        share = (value - self.least) / (self.most - self.least)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, about: int) -> tuple[float, ...]:
        """Round numbers on the axis, about so many."""
        raw = (self.most - self.least) / about
        power = 10.0 ** floor(log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
        first = ceil(self.least / step - 1e-9)
        last = floor(self.most / step + 1e-9)
        return tuple(n * step for n in range(first, last + 1))


def chart_figure(chart: Chart) -> Markup:
    """The chart with its title, key and numbers, for eyes and for screen readers."""
    title = element("strong", chart.title)
    note = element("p", chart.note, class_="quiet") if chart.note else None
    caption = element("figcaption", title, note)
    if not _finite(chart):
        return element(
            "figure", caption, element("p", "no finite numbers"), class_="chart"
        )
    return element(
        "figure", caption, _svg(chart), _key(chart), _numbers(chart), class_="chart"
    )


def _svg(chart: Chart) -> Markup:
    across, up = _axes(chart)
    drawn = [_curve(line, n, across, up) for n, line in enumerate(chart.lines)]
    return element(
        "svg",
        _grid(chart, across, up),
        drawn,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label=_summary(chart),
    )


def _axes(chart: Chart) -> tuple[Axis, Axis]:
    """Both axes, with all points and bands between their ends."""
    points = _finite(chart)
    xs = [x for x, _, _ in points]
    lows, highs = [y - s for _, y, s in points], [y + s for _, y, s in points]
    room = 0.06 * (max(highs) - min(lows))
    across = _axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = _axis(min(lows) - room, max(highs) + room, HEIGHT - BOTTOM, TOP)
    return across, up


def _axis(least: float, most: float, start: float, end: float) -> Axis:
    if least == most:  # one point, or a constant: in the middle
        room = abs(least) * 0.1 or 1.0
        least, most = least - room, most + room
    return Axis(least, most, start, end)


def _finite(chart: Chart) -> list[tuple[float, float, float]]:
    """x, y and spread of every point that can be drawn."""
    return [
        point
        for line in chart.lines
        for point in zip(line.x, line.y, _spread(line), strict=True)
        if all(map(isfinite, point))
    ]


def _spread(line: Line) -> tuple[float, ...]:
    return line.spread or (0.0,) * len(line.x)


def _grid(chart: Chart, across: Axis, up: Axis) -> Markup:
    """Lines, numbers and names of the axes."""
    ys, xs = up.ticks(5), across.ticks(6)
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    rows = [
        join(
            element("line", x1=LEFT, x2=right, y1=up.at(y), y2=up.at(y), class_="grid"),
            _text(short(y, ys), LEFT - 6, up.at(y) + 4, "end"),
        )
        for y in ys
    ]
    columns = [_text(short(x, xs), across.at(x), bottom + 15, "middle") for x in xs]
    middle = (LEFT + right) / 2
    x_name = _text(chart.x_name, middle, HEIGHT - 5, "middle")
    centre = (TOP + bottom) / 2
    y_name = _text(chart.y_name, 11.0, centre, "middle", f"rotate(-90 11 {centre:g})")
    return element("g", rows, columns, x_name, y_name, class_="axes")


def _text(
    words: str, x: float, y: float, anchor: str, transform: str | None = None
) -> Markup:
    return element("text", words, x=x, y=y, text_anchor=anchor, transform=transform)


def _curve(line: Line, number: int, across: Axis, up: Axis) -> Markup:
    """The band, the line, and marks where the points are few."""
    pieces = _pieces(line)
    band = [_band(piece, across, up) for piece in pieces] if line.spread else []
    paths = [
        element(
            "polyline", points=_points((x, y) for x, y, _ in _at(piece, across, up))
        )
        for piece in pieces
        if len(piece) > 1
    ]
    few = len(line.x) <= DOTTED
    marks = [
        element("circle", cx=x, cy=y, r=2.5)
        for piece in pieces
        for x, y, _ in _at(piece, across, up)
        if few or len(piece) == 1
    ]
    return element("g", band, paths, marks, class_=f"line line{number % LINES}")


def _pieces(line: Line) -> list[list[tuple[float, float, float]]]:
    """The line, cut where a value is not finite."""
    pieces: list[list[tuple[float, float, float]]] = [[]]
    for point in zip(line.x, line.y, _spread(line), strict=True):
        if all(map(isfinite, point)):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _at(
    piece: Sequence[tuple[float, float, float]], across: Axis, up: Axis
) -> list[tuple[float, float, float]]:
    """The same in the drawing, the spread as it was."""
    return [(across.at(x), up.at(y), s) for x, y, s in piece]


def _band(
    piece: Sequence[tuple[float, float, float]], across: Axis, up: Axis
) -> Markup:
    above = [(across.at(x), up.at(y + s)) for x, y, s in piece]
    below = [(across.at(x), up.at(y - s)) for x, y, s in reversed(piece)]
    return element("polygon", points=_points([*above, *below]))


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _key(chart: Chart) -> Markup | None:
    """What each line is; one alone is named by the axis."""
    if len(chart.lines) == 1 and not chart.lines[0].name:
        return None
    items = [
        element(
            "li",
            element(
                "svg",
                element(
                    "g",
                    element("polyline", points="0,6 28,6"),
                    class_=f"line line{number % LINES}",
                ),
                viewBox="0 0 28 12",
                aria_hidden="true",
            ),
            line.name,
        )
        for number, line in enumerate(chart.lines)
    ]
    return element("ul", items, class_="key")


def _numbers(chart: Chart) -> Markup | None:
    """All values as a table, where there are few; one row for each x."""
    xs = sorted({x for line in chart.lines for x in line.x})
    if len(xs) > LISTED:
        return None
    columns = [dict(zip(line.x, _said(line), strict=True)) for line in chart.lines]
    names = [line.name or chart.y_name for line in chart.lines]
    head = [element("th", each, scope="col") for each in (chart.x_name, *names)]
    rows = [
        element(
            "tr",
            element("th", f"{x:g}", scope="row"),
            [element("td", column.get(x, "")) for column in columns],
        )
        for x in xs
    ]
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", rows),
    )
    scroll = scrolling(table, f"{chart.title}: the numbers")
    return element("details", element("summary", "Numbers"), scroll)


def _said(line: Line) -> list[str]:
    if not line.spread:
        return [f"{y:.4g}" for y in line.y]
    pairs = zip(line.y, line.spread, strict=True)
    return [f"{y:.4g} ± {spread:.2g}" for y, spread in pairs]


def _summary(chart: Chart) -> str:
    """The chart in a sentence."""
    parts = []
    for line in chart.lines:
        ys = [y for y in line.y if isfinite(y)]
        if ys:
            name = f"{line.name}: " if line.name else ""
            parts.append(
                f"{name}from {ys[0]:.4g} to {ys[-1]:.4g}, least {min(ys):.4g}, "
                f"greatest {max(ys):.4g}"
            )
    return f"{chart.title}, {chart.y_name} by {chart.x_name}. {'; '.join(parts)}."


def short(value: float, ticks: Sequence[float]) -> str:
    """A number beside its axis, with as many digits as the distance of two asks for."""
    largest = max(map(abs, ticks))
    step = ticks[1] - ticks[0] if len(ticks) > 1 else largest or 1.0
    digits = max(0, -floor(log10(step) + 1e-9)) if step else 0
    value = value + 0.0 if abs(value) > step / 1e6 else 0.0
    if largest >= 1e6 or digits > 4:
        return f"{value:.3g}"
    if largest >= 1e4 and step >= 100:
        return f"{value / 1000:.{1 if step < 1000 else 0}f}k"
    return f"{value:.{digits}f}"
