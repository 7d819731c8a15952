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

from svtcli.render.markup import Markup, element, join, scrolling
from svtcli.render.player import Played, played
from svtcli.render.svg_chart import Chart, chart_figure

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
    played: Played | None = None
    """The samples beside the truth."""
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
    return (files("svtcli.render") / name).read_text(encoding="utf-8")


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
        *([("samples", "Samples", played(page.played))] if page.played else []),
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
        scrolling(body, table.title),
        [
            element("p", element("strong", "Note: "), warning, class_="warning")
            for warning in table.warnings
        ],
        element("ul", notes, class_="notes") if notes else None,
        class_="card",
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
