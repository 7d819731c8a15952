"""The report page: one HTML file with everything inside, which plays without a network.

Frames are PNG sprites in data: addresses, drawn by the page's own script; what the page
may load or run, its Content-Security-Policy says. All text is escaped by `markup`.
"""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from string import Template

import numpy as np
from jaxtyping import UInt8

from svtcli.figures.groups import Group, Row
from svtcli.figures.markup import Markup, element, join
from svtcli.figures.svg_chart import Chart, chart_figure
from svtcli.video.encode import png

WIDEST = 4096
"""Pixels that any browser takes; frames beyond go on further lines."""
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
PLAY = "M7 4l13 8-13 8z"
BACK = "M5 4h3v16H5zM20 4v16L9 12z"
FORWARD = "M16 4h3v16h-3zM4 4l11 8-11 8z"

Pair = tuple[str, str]


@dataclass(frozen=True)
class Table:
    """Numbers, and what a reader has to know of them."""

    title: str
    about: str
    """Small print that belongs to the title."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """What the numbers depend on."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """How a run was made."""

    name: str
    command: str | None
    """What was typed."""
    recipe: str
    environment: tuple[Pair, ...]
    """What it was computed with, each with its name."""


@dataclass(frozen=True)
class Page:
    """Everything that the page shows; what is empty or None is left out."""

    title: str
    about: str
    facts: tuple[str, ...] = ()
    """What made the samples."""
    groups: tuple[Group, ...] = ()
    """Videos of one shape and one prime."""
    times: tuple[int, ...] = ()
    """The frames that strips show."""
    scale: int = 1
    """Screen pixels per video pixel, where there is room."""
    smooth: bool = False
    """Whether the browser blurs enlarged pixels."""
    fps: float = 8.0
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    made: tuple[Made, ...] = ()
    """One for each run."""
    svt: str = ""
    """Version of the program that wrote the page."""


def page_html(page: Page) -> str:
    """The whole file as text, to be stored as UTF-8."""
    style, script = _part("page.css"), _part("page.js")
    sections = _sections(page)
    return Template(_part("page.html")).substitute(
        policy=_policy(style, script),
        title=join(page.title),
        style=style,
        script=script,
        header=_header(page, [(name, title) for name, title, _ in sections]),
        main="\n".join(_section(*each) for each in sections),
        footer=_footer(page),
    )


@cache
def _part(name: str) -> str:
    """A file of the page that lies beside this one."""
    return (files("svtcli.figures") / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere: only this script, this style, and pictures in the page."""

    def allowed(text: str) -> str:
        digest = b64encode(sha256(text.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    return (
        f"default-src 'none'; img-src data:; style-src {allowed(style)}; "
        f"script-src {allowed(script)}; base-uri 'none'; form-action 'none'"
    )


Section = tuple[str, str, Markup]
"""Its name in addresses, its title, what is in it."""


def _sections(page: Page) -> list[Section]:
    numbers = element("div", map(_table, page.tables), class_="cards")
    charts = element("div", map(chart_figure, page.charts), class_="cards")
    return [
        *([("samples", "Samples", _samples(page))] if page.groups else []),
        *([("numbers", "Numbers", numbers)] if page.tables else []),
        *([("curves", "Curves", charts)] if page.charts else []),
        *(
            [("made", "How it was made", join(map(_made, page.made)))]
            if page.made
            else []
        ),
    ]


def _section(name: str, title: str, content: Markup) -> Markup:
    heading = element("h2", title, id=f"{name}-title")
    return element(
        "section", heading, content, id=name, aria_labelledby=f"{name}-title"
    )


def _header(page: Page, sections: list[Pair]) -> Markup:
    links = [
        element("li", element("a", title, href=f"#{name}")) for name, title in sections
    ]
    return element(
        "header",
        element("h1", page.title),
        element("p", page.about) if page.about else None,
        element("p", " · ".join(page.facts), class_="quiet"),
        element("nav", element("ul", links), aria_label="Sections"),
    )


def _footer(page: Page) -> Markup:
    version = f" {page.svt}" if page.svt else ""
    text = f"Written by svt{version} render. Frames are counted from 0."
    return element("footer", element("p", text, class_="quiet"))


def _samples(page: Page) -> Markup:
    """The player, and below it each clip's videos and strip."""
    blocks = [_clip(page, group) for group in page.groups]
    keys = element(
        "p",
        *(element("kbd", "space"), " plays and pauses, "),
        *(element("kbd", "←"), " and ", element("kbd", "→")),
        " step. Amber: prime frames, given to the model.",
        class_="quiet keys",
    )
    return element(
        "div", _player(page), keys, blocks, class_="smooth" if page.smooth else None
    )


def _player(page: Page) -> Markup:
    """The controls that all videos share; the script shows them."""
    frames, height, width, _ = page.groups[0].rows[0].video.shape
    last = frames - 1
    scrubber = element(
        "input",
        id="scrub",
        type="range",
        min=0,
        max=last,
        value=0,
        step=1,
        aria_label="Frame",
    )
    return element(
        "div",
        element(
            "div",
            _button("back", "Step back", BACK, "←"),
            _button("play", "Play", PLAY, "space"),
            _button("forward", "Step forward", FORWARD, "→"),
            class_="buttons",
        ),
        element("div", scrubber, class_="scrubber"),
        element(
            "div",
            "frame ",
            element("span", "0", id="frame"),
            f" / {last} ",
            element("span", "prime", id="kind", class_="badge"),
            class_="clock",
            aria_hidden="true",
        ),
        element("label", "Speed", _speeds()),
        element("p", id="said", class_="unseen", aria_live="polite"),
        id="player",
        role="group",
        aria_label="Player of all videos",
        hidden=True,
        data_frames=frames,
        data_prime=page.groups[0].prime,
        data_width=width,
        data_height=height,
        data_scale=page.scale,
        data_fps=float(page.fps),
    )


def _button(name: str, label: str, shape: str, key: str) -> Markup:
    icon = element(
        "svg", element("path", d=shape), viewBox="0 0 24 24", aria_hidden="true"
    )
    return element(
        "button",
        icon,
        id=name,
        type="button",
        aria_label=label,
        title=f"{label} ({key})",
    )


def _speeds() -> Markup:
    options = [
        element("option", f"{speed:g}\u00d7", value=speed, selected=speed == 1)
        for speed in SPEEDS
    ]
    return element("select", options, id="speed")


def _clip(page: Page, group: Group) -> Markup:
    """One clip: its videos, which play, above its strip."""
    _, height, width, _ = group.rows[0].video.shape
    videos = [
        element(
            "figure",
            element(
                "canvas",
                width=width,
                height=height,
                role="img",
                aria_label=f"{row.label} of {group.title}",
            ),
            element("figcaption", row.label),
        )
        for row in group.rows
    ]
    return element(
        "article",
        element("h3", group.title),
        element("div", videos, class_="videos", hidden=True),
        _strip(page, group),
        class_="clip",
    )


def _strip(page: Page, group: Group) -> Markup:
    """Time runs to the right; the script cuts the sprites into the frames shown."""
    heads = [
        element(
            "th",
            str(time),
            scope="col",
            data_frame=time,
            class_="given" if time < group.prime else None,
        )
        for time in page.times
    ]
    rows = [
        element(
            "tr",
            element("th", row.label, scope="row"),
            element("td", _sprite(row, group), colspan=len(page.times)),
        )
        for row in group.rows
    ]
    table = element(
        "table",
        element("caption", f"Frames of {group.title}", class_="unseen"),
        element("thead", element("tr", element("td"), heads)),
        element("tbody", rows),
        class_="strip",
    )
    return _scrolling(table, f"Strip of {group.title}")


def _sprite(row: Row, group: Group) -> Markup:
    tiled = sprite(row.video)
    data = b64encode(png(tiled)).decode()
    return element(
        "img",
        class_="sprite",
        alt=f"all {len(row.video)} frames of {row.label} of {group.title}",
        width=tiled.shape[1],
        height=tiled.shape[0],
        src=f"data:image/png;base64,{data}",
    )


def sprite(video: UInt8[np.ndarray, "F H W C"]) -> UInt8[np.ndarray, "height width 3"]:
    """All frames side by side, or on several lines; gray becomes RGB."""
    F, H, W, _ = video.shape
    across = min(F, max(1, WIDEST // W))
    lines = -(-F // across)
    tiles = np.zeros((lines * across, H, W, 3), np.uint8)
    tiles[:F] = video
    grid = tiles.reshape(lines, across, H, W, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(lines * H, across * W, 3)


def _table(table: Table) -> Markup:
    about = element("span", table.about) if table.about else None
    heads = [element("th", name, scope="col") for name in table.columns]
    rows = [
        element(
            "tr",
            element("th", first, scope="row"),
            [element("td", cell) for cell in cells],
        )
        for first, *cells in table.rows
    ]
    body = element(
        "table",
        element("caption", table.title, about),
        element("thead", element("tr", heads)),
        element("tbody", rows),
    )
    notes = [element("li", note) for note in table.notes]
    return element(
        "div",
        _scrolling(body, table.title),
        [
            element("p", element("strong", "Note: "), warning, class_="warning")
            for warning in table.warnings
        ],
        element("ul", notes, class_="notes") if notes else None,
        class_="card",
    )


def _scrolling(content: Markup, label: str) -> Markup:
    """What may be wider than a phone; it can have the focus, so that keys scroll it."""
    return element(
        "div", content, class_="scroll", tabindex=0, role="region", aria_label=label
    )


def _made(made: Made) -> Markup:
    """A run's command, recipe and environment."""
    rows = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in made.environment
    ]
    table = element("table", element("tbody", rows), class_="facts")
    whole = element("pre", made.recipe, tabindex=0, role="region", aria_label="Recipe")
    return join(
        element("h3", f"Run {made.name}"),
        element("pre", made.command, class_="command") if made.command else None,
        element("details", element("summary", "Recipe"), whole),
        element("details", element("summary", "Environment"), table) if rows else None,
    )
