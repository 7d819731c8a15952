"""Read YAML text as plain values with their line and column.

Read as YAML 1.2 (scalar.py), and less of it: no anchors, aliases, tags, merge keys or
second documents, no key twice, no file above 1 MB, nothing nested deeper than a recipe
can be. All of these are problems with a place, and all are found at once.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path as FilePath
from typing import Any

import yaml

from svtcli.failure import Refused

Path = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""

Scalar = None | bool | int | float | str

NULL = frozenset(("", "~", "null", "Null", "NULL"))
BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
DECIMAL = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# Python refuses to read longer ones, and no recipe needs them.
MOST_DIGITS = 4000

MOST_BYTES = 1_000_000
MOST_DEPTH = 16
MOST_SHOWN = 120
"""Maximum number of characters of a line that a message shows."""


@dataclass(frozen=True)
class Place:
    """A position in a text; line and column count from 1, columns in characters."""

    origin: str
    """Path of the file, or `override`."""
    line: int
    column: int
    source_line: str

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}"

    def caret(self) -> str:
        """Source line, or its part around the column, with a caret below."""
        fits = len(self.source_line) <= MOST_SHOWN
        start = 0 if fits else max(0, self.column - 1 - MOST_SHOWN // 2)
        shown = "".join(
            char if char.isprintable() or char == "\t" else "?"
            for char in self.source_line[start : start + MOST_SHOWN]
        )
        before = shown[: self.column - 1 - start]
        padding = "".join(char if char == "\t" else " " for char in before)
        return f"    {shown}\n    {padding}^"


@dataclass(frozen=True)
class Problem:
    """A problem and its place."""

    place: Place
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}\n{self.place.caret()}"


class BadRecipe(Refused):
    """Raised for an invalid recipe; `problems` are in the order of the text."""

    many_lines = True

    def __init__(self, problems: Sequence[Problem]) -> None:
        order = attrgetter("place.origin", "place.line", "place.column")
        self.problems = tuple(sorted(dict.fromkeys(problems), key=order))
        count = len(self.problems)
        head = [f"{count} problems in the recipe"] if count > 1 else []
        super().__init__("\n".join([*head, *map(str, self.problems)]))


@dataclass
class Document:
    """A value, with the places of all keys and values in it."""

    value: Any
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path, key: bool = False) -> Place:
        """Place of the value at `path` or of its key, else of what contains it."""
        if not key and path in self.values:
            return self.values[path]
        for end in range(len(path), 0, -1):
            # What is missing inside a section is shown at the section's name.
            for places in (self.keys, self.values):
                if path[:end] in places:
                    return places[path[:end]]
        return self.values[()]


@dataclass(frozen=True)
class Text:
    """YAML text and its origin; in an override, `prefix` is `train.steps=`."""

    origin: str
    text: str
    prefix: str = ""

    def place(self, mark: Any) -> Place:
        """Place of a PyYAML mark, which counts from 0."""
        return self.at(mark.line, mark.column)

    def at(self, line: int, column: int) -> Place:
        """Place of a line and column that count from 0."""
        lines = (self.prefix + self.text).splitlines() or [""]
        shift = len(self.prefix) if line == 0 else 0
        line = min(line, len(lines) - 1)
        return Place(self.origin, line + 1, column + shift + 1, lines[line])


def read_file(path: FilePath) -> Document:
    """Document in a file.

    Errors: those of `read_document`; Refused for a file that is too large or no text.
    """
    if path.stat().st_size > MOST_BYTES:
        raise Refused(f"{path}: larger than 1 MB; a recipe is a page of text")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: not UTF-8 text ({error.reason})") from error
    return read_document(Text(str(path), text))


def read_document(text: Text) -> Document:
    """Document in a text.

    Errors: BadRecipe for invalid YAML, or YAML that a recipe does not need. Duplicate
    keys are left in `problems`.
    """
    try:
        if problems := list(_unwanted(text)):
            raise BadRecipe(problems)
        node = yaml.compose(text.text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not valid YAML: {error.problem or error.context}"
        if any(name in (error.context or "") for name in ("alias", "anchor", "tag")):
            what += "; quote text that starts with * or & or !"
        raise BadRecipe([Problem(text.place(mark), what)]) from error
    except yaml.reader.ReaderError as error:
        line = text.text.count("\n", 0, error.position)
        column = error.position - (text.text.rfind("\n", 0, error.position) + 1)
        what = f"not valid YAML: the character {chr(int(error.character))!r}"
        raise BadRecipe([Problem(text.at(line, column), what)]) from error
    document = Document(None, values={(): text.at(0, 0)})
    if node is not None:
        document.value = _value(node, (), text, document)
    return document


def _unwanted(text: Text) -> Iterator[Problem]:
    """Problems with YAML that a recipe may not use."""
    depth = documents = 0
    for event in yaml.parse(text.text, Loader=yaml.BaseLoader):
        place = text.place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            yield Problem(place, "aliases (*name) are not allowed; quote text with a *")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            yield Problem(place, "anchors (&name) are not allowed; quote text with a &")
        if getattr(event, "tag", None) is not None:
            yield Problem(place, "tags (!name) are not allowed; quote text with a !")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents == 2:
                yield Problem(place, "a recipe is one document; --- starts a second")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            yield Problem(place, f"nested deeper than {MOST_DEPTH} levels")
            return


def _value(node: yaml.Node, path: Path, text: Text, document: Document) -> Any:
    """Plain value of `node`; its places and problems go into `document`."""
    document.values[path] = text.place(node.start_mark)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, text, document)
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(item, (*path, index), text, document)
            for index, item in enumerate(node.value)
        ]
    assert isinstance(node, yaml.ScalarNode)
    if any("\ud800" <= char <= "\udfff" for char in node.value):
        what = "half of a surrogate pair is no text"
        document.problems.append(Problem(document.values[path], what))
        return ""
    return node.value if node.style else core_value(node.value)


def _mapping(
    node: yaml.MappingNode, path: Path, text: Text, document: Document
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = text.place(key_node.start_mark)
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or not key:
            document.problems.append(Problem(place, "a key must be a word"))
        elif key == "<<" and not key_node.style:
            what = "merge keys (<<) are not allowed; a recipe inherits with base: NAME"
            document.problems.append(Problem(place, what))
        elif key in mapping:
            first = document.keys[*path, key].line
            what = f"the key {key!r} is given twice, first in line {first}"
            document.problems.append(Problem(place, what))
        else:
            document.keys[*path, key] = place
            mapping[key] = _value(value_node, (*path, key), text, document)
    return mapping


def core_value(word: str) -> Scalar:
    """Value of a plain (unquoted) word by YAML 1.2's core schema, else the word itself.

    PyYAML follows YAML 1.1, where `1e-3` is text, `on` is true and `1:30` is ninety.
    Source: YAML 1.2.2, §10.3.2.
    """
    if word in NULL:
        return None
    if word in BOOLEANS:
        return BOOLEANS[word]
    if len(word) > MOST_DIGITS:
        return word
    if DECIMAL.fullmatch(word):
        return int(word)
    if BASED.fullmatch(word):
        return int(word, 0)
    if FLOAT.fullmatch(word):
        return float(word)
    if INFINITE.fullmatch(word):
        return float(word.replace(".", ""))
    return word
