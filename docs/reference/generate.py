"""Write the reference pages, of what the commands and the recipe's dataclasses say.

    python docs/reference/generate.py

`tests/test_reference.py` holds the pages to it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, astuple, fields, is_dataclass
from inspect import getdoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from annotated_types import Ge, Gt, Le, Lt

from svtcli.cli.app import app
from svtcli.recipe.data import DATASETS, VideoData
from svtcli.recipe.schema import SECTIONS, Recipe
from svtcli.recipe.setting import (
    MOST,
    NO_INFLUENCE,
    Setting,
    settings_of,
    without_sections,
)

HERE = Path(__file__).parent
Panel = tuple[str, tuple[tuple[str, str], ...]]
"""Title, and (name, help) of each option."""
OWN = ("Arguments", "Options")
"""Panels that stand with their command; others that several have stand at the end."""
NOTE = "<!-- Written by docs/reference/generate.py: edit what it reads. -->"
PLAIN = {int: "whole number", float: "number", str: "text", bool: "`true` or `false`"}


def pages() -> dict[str, str]:
    """Text of each page, by the name of its file."""
    return {"commands.md": commands_page(), "recipe.md": recipe_page()}


def commands_page() -> str:
    """Every command with its arguments and options."""
    root = typer.main.get_command(app)
    every = list(_commands(root, "svt"))
    panels = {name: _panels(command, name) for name, command in every}
    times = Counter(panel for each in panels.values() for panel in each)
    shared = [panel for panel in times if times[panel] > 1 and panel[0] not in OWN]
    lines = [
        *("# Commands", "", NOTE, ""),
        "The help of all commands. `-h` and the options of `svt` itself go with any.",
        "[recipe.md](recipe.md) has the keys of a recipe.",
    ]
    for name, command in every:
        lines += ["", f"## {name}", "", f"`{_usage(command, name)}`"]
        lines += ["", *_paragraphs(command.help or "")]
        for title, rows in panels[name]:
            if (title, rows) in shared:
                lines += ["", f"{title}: [as below](#{_anchor(title)})."]
            else:
                lines += ["", *_table((title, ""), rows)]
        lines += [""] if hasattr(command, "commands") else []
        for word, each in _parts(command):
            lines += [
                f"- [`{name} {word}`](#{_anchor(f'{name} {word}')}): {_first(each)}"
            ]
    for title, rows in shared:
        lines += ["", f"## {title}", "", *_table(("option", ""), rows)]
    return "\n".join(lines) + "\n"


def recipe_page() -> str:
    """Every key of a recipe: type, default, meaning."""
    lines = [
        *("# Recipe keys", "", NOTE, ""),
        "A recipe is a YAML file with these sections. A key that it leaves out has its",
        "default; `section.key=value` after a command overrides it for one call. Keys",
        "with an asterisk change speed, memory or places, never a result.",
        "",
        *_table(
            ("key", "type", "default", "meaning"),
            [
                ("base", "text", "", "Recipe to inherit from, one level deep."),
                *(
                    _row(each, Recipe)
                    for each in settings_of(Recipe)
                    if each.name == "about"
                ),
                (
                    "sweep",
                    "variants",
                    "",
                    "Variants of `svt sweep`: name, then `section.key: value`.",
                ),
            ],
        ),
        *("", "## data", ""),
        "Every kind of dataset has these keys; those of one kind follow.",
        *("", *_settings(VideoData, settings_of(VideoData)[1:])),
    ]
    common = settings_of(VideoData)
    for dataset in DATASETS:
        (kind,) = get_args(dataset.__annotations__["kind"])
        own = [each for each in settings_of(dataset) if each not in common]
        lines += ["", f"### kind: {kind}", "", *_paragraphs(getdoc(dataset) or "")]
        lines += [
            "",
            *_settings(dataset, [each for each in own if each.name != "kind"]),
        ]
    for name, section in SECTIONS.items():
        lines += ["", f"## {name}", "", *_paragraphs(getdoc(section) or "")]
        lines += ["", *_settings(section, settings_of(section))]
    return "\n".join(lines) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command, by the words that are typed; a group before its commands."""
    yield name, command
    for word, each in _parts(command):
        yield from _commands(each, f"{name} {word}")


def _parts(command: Any) -> list[tuple[str, Any]]:
    """Commands of a group, in the order of its help."""
    if not hasattr(command, "commands"):
        return []
    return [(word, command.commands[word]) for word in command.list_commands(None)]


def _panels(command: Any, name: str) -> list[Panel]:
    """Panels of a command's help, without `-h`; those of a group are its options."""
    context = command.make_context(name, [], resilient_parsing=True)
    if hasattr(command, "panels"):
        found = command.panels(context)
    else:
        records = (
            each.get_help_record(context) for each in command.get_params(context)
        )
        found = {"Options": [each for each in records if each]}
    without = {
        title: tuple(row for row in rows if "--help" not in row[0])
        for title, rows in found.items()
    }
    return [(title, rows) for title, rows in without.items() if rows]


def _usage(command: Any, name: str) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    return " ".join([name, *command.collect_usage_pieces(context)])


def _settings(section: type, settings: Any) -> list[str]:
    """Table of settings."""
    rows = [_row(each, section) for each in settings]
    return _table(("key", "type", "default", "meaning"), rows)


def _row(setting: Setting, section: type) -> tuple[str, ...]:
    """Key, type, default and meaning of a setting."""
    hint = get_type_hints(section, include_extras=True)[setting.name]
    star = " *" if NO_INFLUENCE in setting.marks else ""
    default = setting.default
    shown = "required" if default is MISSING else f"`{_written(default)}`"
    return f"`{setting.name}`{star}", _type(hint), shown, setting.doc


def _written(value: Any) -> str:
    """A default as a recipe writes it."""
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return json.dumps(value).replace('"', "") or '""'


def _type(hint: Any) -> str:
    """Type of a value in words, with its bounds."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(args[0]) + _bounds(args[1:], args[0])
    if origin is Literal:
        return " · ".join(f"`{each}`" for each in args if each is not None) or "`null`"
    if origin in (Union, UnionType):
        return ", or ".join(_type(each) for each in args if each is not NoneType)
    if origin is tuple:
        each = re.sub("whole number(?!s)", "whole numbers", _type(args[0]))
        return f"list of {each}" if args[-1] is Ellipsis else f"{len(args)} {each}"
    if is_dataclass(hint):
        (field,) = fields(hint)
        return f"`{{{field.name}: …}}`"
    return PLAIN[hint]


def _bounds(notes: tuple[Any, ...], of: Any) -> str:
    """Bounds, but for those of 32-bit numbers."""
    signs = {Gt: ">", Ge: "≥", Lt: "<", Le: "≤"}
    bounds = [each for each in notes if type(each) in signs]
    match [each for each in bounds if abs(astuple(each)[0]) < MOST]:
        case [Ge(least), Le(most)]:
            return f" {least} to {most:,}"
        case [Gt(0), Le(most)] if of is int:
            return f" 1 to {most:,}"
        case told:
            each = (f"{signs[type(bound)]} {astuple(bound)[0]:,}" for bound in told)
            return " " + ", ".join(each) if told else ""


def _paragraphs(text: str) -> list[str]:
    """A line for each paragraph, commands as code, no references to the paper."""
    found = re.split(r"\n\s*\n", without_sections(text))
    plain = (" ".join(each.split()) for each in found)
    coded = (
        re.sub(r"(?:(?<=: )|^)svt .+?(?=, to |$)", r"`\g<0>`", each) for each in plain
    )
    return "\n\n".join(coded).split("\n")


def _first(command: Any) -> str:
    return _paragraphs(command.help or "")[0]


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _table(head: tuple[str, ...], rows: Any) -> list[str]:
    """Markdown table."""
    cells = [tuple(str(cell).replace("|", r"\|") for cell in row) for row in rows]
    if len(head) == 2:
        cells = [(f"`{name}`", text) for name, text in cells]
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *cells)]


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
