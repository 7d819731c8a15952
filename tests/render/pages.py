"""Report pages of made-up samples, and a reader of HTML."""

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from svtcli.recipe.schema import Render
from svtcli.render.curves import Curve, Panel
from svtcli.render.groups import caption, groups_of
from svtcli.render.page import Origin, Page, Table, page_html
from tests.render.made_up import made_up_samples

VOID = frozenset({"img", "input", "link", "meta", "br"})
"""Elements that have no end tag and no content."""
HOSTILE = "<script>alert('x')</script>\"&amp;--><img src=x onerror=alert(1)>"


def made_up_page(**changes) -> Page:
    """Two clips of seven frames, the first two prime, with three samples each.

    `changes` are of the page.
    """
    models = {"walk": made_up_samples()}
    page = Page(
        title="walk, step 300",
        about="a walk",
        facts=caption(models),
        groups=groups_of(models, 2),
        times=(0, 2, 4, 6),
        settings=Render(scale=3, smooth=False, fps=8.0),
        tables=(
            Table(
                "Likelihood, bits/dim",
                "8 clips",
                ("model", "bits/dim", "± s.e."),
                (("trained", "3.036", "0.325"),),
                ("temperature 0.9",),
                ("only 8 clips",),
            ),
        ),
        panels=(
            Panel("Training", "step", "bits/dim", (Curve("", (1.0, 2.0), (4.0, 3.0)),)),
        ),
        origins=(Origin("walk", "svt run walk", "about: a walk\n", {"numpy": "2.0"}),),
        version="0.1.0",
    )
    return replace(page, **changes)


def hostile_page() -> Page:
    """Every text that comes from outside is an attack."""
    page = made_up_page()
    bad = (HOSTILE,)
    group = page.groups[0]
    row = replace(group.rows[0], label=HOSTILE)
    group = replace(group, title=HOSTILE, rows=(row,))
    return replace(
        page,
        title=HOSTILE,
        about=HOSTILE,
        facts=bad,
        groups=(group,),
        tables=(Table(HOSTILE, HOSTILE, bad, (bad,), bad, bad),),
        panels=(
            Panel(
                *(HOSTILE, HOSTILE, HOSTILE),
                (Curve(HOSTILE, (1.0,), (2.0,)), Curve(HOSTILE, (1.0,), (3.0,), of=1)),
                HOSTILE,
            ),
        ),
        origins=(Origin(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}),),
        version=HOSTILE,
    )


@dataclass
class Node:
    """An element: its name, its attributes, its parent, its text."""

    name: str
    attributes: dict[str, str | None]
    parent: "Node | None"
    text: str = ""
    children: "list[Node]" = field(default_factory=list)

    def all(self, name: str | None = None, **wanted: str) -> "list[Node]":
        """Elements below, in order; of that name and those attributes."""
        found = []
        for child in self.children:
            named = name in (None, child.name)
            if named and wanted.items() <= child.attributes.items():
                found.append(child)
            found += child.all(name, **wanted)
        return found

    @property
    def words(self) -> str:
        """The text of all elements below."""
        return self.text + "".join(child.words for child in self.children)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.top = self.at = Node("", {}, None)

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs), self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_endtag(self, tag):
        assert self.at.name == tag, f"</{tag}> ends <{self.at.name}>"
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.text += data


def read(page: Page) -> Node:
    """The page as a tree; every element is closed where it should be."""
    reader = Reader()
    reader.feed(page_html(page))
    reader.close()
    assert reader.at is reader.top, f"<{reader.at.name}> is not closed"
    return reader.top
