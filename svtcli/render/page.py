"""The report page: one HTML file with everything inside, which plays without a network.

Frames are PNG sprites in data: addresses, drawn by the page's own script; its
Content-Security-Policy allows nothing else to load or run. The template
(page.html.jinja) escapes all text.
"""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from math import isfinite
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from svtcli.render.curves import Curve, Panel
from svtcli.render.groups import Group
from svtcli.video.encode import png

_HERE = Path(__file__).parent
WIDEST = 4096
"""Width of a sprite that any browser takes; frames beyond go on further lines."""
LISTED = 64
"""Most points of a chart whose numbers are listed below it."""


@dataclass(frozen=True)
class Player:
    """Videos that play, and the strips below them."""

    groups: tuple[Group, ...]
    """Videos of one shape and one prime."""
    times: tuple[int, ...]
    """Frames shown by the strips."""
    scale: int
    """Screen pixels per video pixel, where there is room."""
    smooth: bool
    """Let the browser blur enlarged pixels."""
    fps: float
    """Frames per second at speed 1."""


@dataclass(frozen=True)
class Table:
    """Numbers with their protocol."""

    title: str
    about: str
    """Small print below the title."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Protocol of the measurement."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Command, recipe and environment of a run."""

    name: str
    command: str | None
    recipe: str
    environment: dict[str, str]


@dataclass(frozen=True)
class Page:
    """Contents of the page; sections that are empty or None are left out."""

    title: str
    about: str
    facts: tuple[str, ...] = ()
    """Caption of the samples."""
    player: Player | None = None
    tables: tuple[Table, ...] = ()
    panels: tuple[Panel, ...] = ()
    origins: tuple[Origin, ...] = ()
    """One for each run."""
    version: str = ""
    """Version of svt."""


def page_html(page: Page) -> str:
    """The whole file as text, to be stored as UTF-8."""
    style, script = (
        _HERE.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    text = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704 (files of this package)
            script=Markup(script),  # noqa: S704
        )
    )
    return text.strip() + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions = (sprite, data_address, chart, numbers)
    environment.globals |= {each.__name__: each for each in functions}
    return environment


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere: only this script, this style, and pictures in the page."""

    def allowed(text: str) -> str:
        digest = b64encode(sha256(text.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    return (
        f"default-src 'none'; img-src data:; style-src {allowed(style)}; "
        f"script-src {allowed(script)}; base-uri 'none'; form-action 'none'"
    )


def sprite(video: UInt8[np.ndarray, "F H W C"]) -> UInt8[np.ndarray, "height width 3"]:
    """Tile all frames side by side, or on several lines; gray becomes RGB."""
    F, H, W, _ = video.shape
    across = min(F, max(1, WIDEST // W))
    lines = -(-F // across)
    tiles = np.zeros((lines * across, H, W, 3), np.uint8)
    tiles[:F] = video
    grid = tiles.reshape(lines, across, H, W, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(lines * H, across * W, 3)


def data_address(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    return f"data:image/png;base64,{b64encode(png(picture)).decode()}"


def chart(panel: Panel, name: str) -> Markup | None:
    """The panel as SVG; None if it has no finite number."""
    from svtcli.render.charts import panel_svg  # matplotlib takes its time

    if not any(isfinite(y) for curve in panel.curves for y in curve.y):
        return None
    return Markup(panel_svg(panel, name))  # noqa: S704 (escaped by ElementTree)


def numbers(panel: Panel) -> tuple[tuple[str, ...], ...]:
    """Rows of all values by x, first the names; () where they are too many."""
    xs = sorted({x for curve in panel.curves for x in curve.x})
    if len(xs) > LISTED:
        return ()
    columns = [
        dict(zip(curve.x, _values(curve), strict=True)) for curve in panel.curves
    ]
    names = [curve.label or panel.y_name for curve in panel.curves]
    rows = ((f"{x:g}", *(column.get(x, "") for column in columns)) for x in xs)
    return ((panel.x_name, *names), *rows)


def _values(curve: Curve) -> list[str]:
    if not curve.spread:
        return [f"{y:.4g}" for y in curve.y]
    pairs = zip(curve.y, curve.spread, strict=True)
    return [f"{y:.4g} ± {spread:.2g}" for y, spread in pairs]
