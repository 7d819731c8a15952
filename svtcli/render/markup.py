"""HTML and SVG, element by element: whatever is not markup already is escaped."""

from collections.abc import Iterable
from html import escape

VOID = frozenset({"img", "input", "link", "meta", "br"})
"""Elements that have no end tag and no content."""


class Markup(str):
    """Text that is HTML already; only the functions of this file make it of words."""

    __slots__ = ()


Child = str | Iterable[Markup] | None
Value = str | int | float | bool | None


def element(name: str, *children: Child, **attributes: Value) -> Markup:
    """One element with all that is in it.

    Plain text is escaped, None is nothing. An attribute's underscores become hyphens,
    `class_` means class; True is an attribute without a value, False and None leave it
    out.
    """
    said = "".join(_attribute(*each) for each in attributes.items())
    start = f"<{name.replace('_', '-')}{said}>"
    if name in VOID:
        return Markup(start)
    return Markup(f"{start}{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Elements and text, one after the other."""
    return Markup("".join(_child(child) for child in children))


def scrolling(content: Markup, label: str) -> Markup:
    """What may be wider than a phone; it can have the focus, so that keys scroll it."""
    return element(
        "div", content, class_="scroll", tabindex=0, role="region", aria_label=label
    )


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escape(child, quote=False)
    return "".join(_child(each) for each in child)


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else f"{value}"
    return f' {name}="{escape(text)}"'
