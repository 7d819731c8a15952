"""Check plain values and build a `Recipe`, or report every problem at its place."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, make_dataclass
from difflib import get_close_matches
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from svtcli.failure import Refused
from svtcli.recipe.data import DATASETS
from svtcli.recipe.document import BadRecipe, Document, Path, Place, Problem
from svtcli.recipe.model import Dilated
from svtcli.recipe.schema import SECTIONS, Recipe
from svtcli.recipe.setting import OF_SOURCE, Misfit, Setting, counted, settings_of
from svtcli.recipe.variants import SWEEP

if TYPE_CHECKING:
    from pydantic import TypeAdapter

WORDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dataclass_type": "a section with keys",
}
"""Wanted types by pydantic's error types, in the words of a recipe."""

WRONG_KIND = {*WORDS, "literal_error"}

Error = Mapping[str, Any]
"""One of pydantic's errors: type, loc, msg, input, ctx."""


@cache
def adapter() -> "TypeAdapter":
    """Validator of recipes, built (and pydantic imported) at its first use."""
    from pydantic import TypeAdapter

    return TypeAdapter(Recipe)


def recipe_schema() -> dict[str, Any]:
    """JSON schema of a recipe file; descriptions are the docstrings of fields."""
    schema = adapter().json_schema()
    base = {"type": "string", "description": "A recipe to inherit from, one level."}
    variants = {
        "type": "object",
        "description": "Variants of svt sweep: name, then section.key: value.",
        "additionalProperties": {"type": ["object", "null"]},
    }
    own = {"base": base, SWEEP: variants}
    return {**schema, "properties": {**own, **schema["properties"]}}


def validate(document: Document) -> Recipe:
    """Recipe of a document. Errors: BadRecipe with all of its problems.

    Strict: text is no number. It goes in as JSON because there a list may be a tuple
    and a mapping a dataclass, which pydantic's strict mode refuses of Python objects.
    """
    from pydantic import ValidationError

    problems = list(document.problems)
    try:
        recipe: Recipe = adapter().validate_json(json.dumps(document.value))
    except ValidationError as error:
        errors: Sequence[Error] = error.errors(include_url=False)
        problems += _problems(errors, document)
    if problems:
        raise BadRecipe(problems)
    return recipe


def validate_section(name: str, values: Mapping[str, Any]) -> Any:
    """Section `name` of a recipe, of these values alone.

    Errors: Refused, with all problems in one line.
    """
    from pydantic import ValidationError

    text = json.dumps({name: values}, default=_plain)
    try:
        return getattr(_adapter_of(name).validate_json(text), name)
    except ValidationError as error:
        document = Document(json.loads(text), values={(): Place("", 1, 1, "")})
        found = _problems(error.errors(include_url=False), document)
        raise Refused("; ".join(problem.what for problem in found)) from error


@cache
def _adapter_of(name: str) -> "TypeAdapter":
    """Validator of one section, with the settings of the whole recipe's."""
    from pydantic import TypeAdapter

    types = {name: get_type_hints(Recipe, include_extras=True)[name]}
    space = {"__pydantic_config__": Recipe.__pydantic_config__}
    return TypeAdapter(make_dataclass("Section", types.items(), namespace=space))


def _plain(value: Any) -> object:
    """Equivalent in JSON of a number that is not Python's, or of any other value."""
    return value.item() if getattr(value, "shape", None) == () else str(value)


def _problems(errors: Sequence[Error], document: Document) -> Iterator[Problem]:
    """One problem for each place, however many members of a union failed there."""
    located = [(*_located(error, document.value), error) for error in errors]
    for _, tried in groupby(located, key=lambda one: one[1] or object()):
        yield from _nearest([(path, error) for path, _, error in tried], document)


def _located(error: Error, value: Any) -> tuple[Path, Path | None]:
    """Path of an error in the recipe, and path of the union around it.

    Pydantic's `loc` also names the members of unions, which are no keys.
    """
    path: Path = ()
    union = None
    for part in error["loc"]:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part] if part < len(value) else None
        elif error["type"] != "missing" or part != error["loc"][-1]:
            # The kind of data is a union too, but only the right member is tried.
            union = path if path != ("data",) else union
            continue
        path = (*path, part)
    return path, union


def _nearest(tried: list[tuple[Path, Error]], document: Document) -> Iterator[Problem]:
    """Problems of the union's member that is nearest to the written value."""
    deepest = max(len(path) for path, _ in tried)
    nearest = [one for one in tried if len(one[0]) == deepest]
    for path, same_place in groupby(nearest, key=lambda one: one[0]):
        errors = [error for _, error in same_place]
        wrong_kind = [error for error in errors if error["type"] in WRONG_KIND]
        if len(wrong_kind) == len(errors) > 1:
            wanted = " or ".join(_wanted(error) for error in errors)
            shown = _shown(errors[0]["input"])
            yield _problem(document, path, f"should be {wanted}, not {shown}")
        else:
            for error in [one for one in errors if one not in wrong_kind] or errors:
                yield from _of_error(path, error, document)


def _of_error(path: Path, error: Error, document: Document) -> Iterator[Problem]:
    match error["type"]:
        case "unexpected_keyword_argument":
            what = f"unknown key{did_you_mean(path, document.value)}"
            yield _problem(document, path, what, key=True)
        case "missing" if isinstance(path[-1], int):
            what = f"is too short: value {path[-1] + 1} is missing"
            yield _problem(document, path[:-1], what)
        case "missing":
            yield _problem(document, path, "is missing", key=True)
        case "union_tag_not_found":
            yield _problem(document, (*path, "kind"), "is missing", key=True)
        case "union_tag_invalid":
            expected = error["ctx"]["expected_tags"]
            what = _choice(expected, error["input"]["kind"])
            yield _problem(document, (*path, "kind"), what)
        case "literal_error":
            what = _choice(error["ctx"]["expected"], error["input"])
            yield _problem(document, path, what)
        case "too_short":
            # Values that are wrong themselves do not count, but are there.
            if not error["input"]:
                yield _problem(document, path, "is empty")
        case "too_long":
            most, count = error["ctx"]["max_length"], error["ctx"]["actual_length"]
            what = f"should have {counted(most, 'value')}, not {count}"
            yield _problem(document, path, what)
        case "value_error" if isinstance(error["ctx"]["error"], Misfit):
            for name, why in error["ctx"]["error"].problems.items():
                yield _problem(document, (*path, *name.split(".")), why)
        case _:
            what = f"should be {_wanted(error)}, not {_shown(error['input'])}"
            yield _problem(document, path, what)


def _problem(document: Document, path: Path, what: str, key: bool = False) -> Problem:
    """Problem with the name of its key; the caret shows positions in lists."""
    name = ".".join(part for part in path if isinstance(part, str))
    return Problem(document.place(path, key), f"{name}: {what}" if name else what)


def _wanted(error: Error) -> str:
    """Description of a valid value, to follow "should be"."""
    if error["type"] in WORDS:
        return WORDS[error["type"]]
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"])
    return str(error["msg"]).removeprefix("Input should be ")


def _choice(expected: str, given: object) -> str:
    if expected == "None":
        return "should be left out"
    names = expected.replace("'", "").replace(" or ", ", ").split(", ")
    near = get_close_matches(str(given), names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"should be {' or '.join(names)}, not {_shown(given)}{hint}"


def _shown(value: object) -> str:
    """Value as a recipe writes it, shortened."""
    if isinstance(value, dict):
        return "a section"
    kinds: dict[type, str] = {str: "the text ", list: "the list "}
    text = json.dumps(value, ensure_ascii=False)
    return kinds.get(type(value), "") + (text if len(text) <= 40 else f"{text[:37]}...")


def did_you_mean(path: Path, recipe: Any) -> str:
    """`; did you mean …?` for the unknown key `path`, or nothing.

    The nearest key of the same section, preferably an unused one, else the same key of
    another section. A key of data's other kinds is said to be one.
    """
    section: Any = recipe
    for part in path[:-1]:
        section = section[part]
    wanted = str(path[-1])
    keys = keys_at(path[:-1], section)
    unused = [key for key in keys if key not in section]
    elsewhere = [
        f"{name}.{wanted}"
        for name in (*SECTIONS, "data")
        if wanted in keys_at((name,), recipe.get(name))
    ]
    others = [
        _kind(each)
        for each in DATASETS
        if path[:-1] == ("data",) and wanted in _names(each)
    ]
    if others and section.get("kind"):
        kinds = " or ".join(map(str, others))
        return f" for kind: {section['kind']}; it is one of kind: {kinds}"
    close = get_close_matches(wanted, unused, n=1) or get_close_matches(
        wanted, keys, n=1
    )
    near = [".".join(map(str, (*path[:-1], key))) for key in close]
    near = elsewhere if elsewhere and (len(path) == 1 or not near) else near
    return f"; did you mean {' or '.join(near)}?" if near else ""


def keys_at(path: Path, written: Any) -> list[str]:
    """Keys of the section at `path`; of data, of the kind that is `written`."""
    kind = written.get("kind") if isinstance(written, dict) else None
    match path:
        case ():
            return ["base", SWEEP, *(each.name for each in fields(Recipe))]
        case ("data",):
            return [setting.name for setting in settings_of_kind(kind)]
        case (str(name),) if name in SECTIONS:
            found: list[type] = [SECTIONS[name]]
        case ("model", "blocks", _):
            found = [Dilated]
        case _:
            found = []
    return [name for each in found for name in _names(each)]


def settings_of_kind(kind: object) -> tuple[Setting, ...]:
    """Settings of a kind of dataset; empty for an unknown one."""
    found = [each for each in DATASETS if _kind(each) == kind]
    return settings_of(found[0]) if found else ()


def keys_of_source(kind: object) -> frozenset[str]:
    """Keys of `data` that fit one source only: its place, and facts about its files."""
    settings = settings_of_kind(kind)
    return frozenset(each.name for each in settings if OF_SOURCE in each.marks)


def _names(section: type) -> list[str]:
    return [setting.name for setting in settings_of(section)]


def _kind(dataset: type) -> object:
    return get_args(dataset.__annotations__["kind"])[0]
