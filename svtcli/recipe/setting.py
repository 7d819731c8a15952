"""A setting: one key of a recipe's section, and everything that is derived from it.

Type, bounds, default, help (its docstring) and marks stand in the section's dataclass;
flags, completion, fingerprints and messages read them here.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

MOST = 2**31 - 1
"""Largest whole number of a setting: steps and sizes are 32-bit numbers in jax."""
PositiveInt = Annotated[int, Gt(0), Le(MOST)]
Natural = Annotated[int, Ge(0), Le(MOST)]
Frames = Annotated[int, Ge(2), Le(100_000)]
"""Frames of a video that is sampled or scored, an hour at most."""
Seed = Annotated[int, Ge(-(2**31)), Lt(2**32)]
"""Random seed: jax drops all but its lowest 32 bits without a word."""
PositiveFloat = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Lt(1)]

Bound = Gt | Ge | Lt | Le


class Mark(Enum):
    """A remark on a setting, written into its annotation."""

    CLIPS = "selects clips or frames"
    NO_INFLUENCE = "changes speed, memory or places, never a result"
    PERCENT = "may be written as a percentage, such as 5%"
    OF_SOURCE = "names one's own data, or describes the files of that source"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Read a percentage where the mark allows it."""
        from pydantic_core import core_schema

        inner = handler(source)
        if self is not Mark.PERCENT:
            return inner
        read = core_schema.no_info_before_validator_function(from_percent, inner)
        message = f"Input should be {A_SHARE}"
        return core_schema.custom_error_schema(
            read, "share", custom_error_message=message
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        """Describe a percentage too where the mark allows it."""
        number = handler(schema)
        if self is not Mark.PERCENT:
            return number
        text = {"type": "string", "pattern": f"^{PERCENTAGE.pattern}$"}
        return {"anyOf": [number, text]}


CLIPS, NO_INFLUENCE, PERCENT, OF_SOURCE = Mark
A_SHARE = "a share, such as 5% or 0.05"
PERCENTAGE = re.compile(r"\d+(\.\d*)? ?%")


def from_percent(value: Any) -> Any:
    """Return 0.05 for `5%`, and any other value as it is."""
    if isinstance(value, str) and PERCENTAGE.fullmatch(value):
        return float(value[:-1]) / 100
    return value


class Misfit(ValueError):
    """Settings that do not fit together: `problems` maps a key to a sentence."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {why}" for key, why in problems.items()))
        self.problems = problems


@dataclass(frozen=True)
class Setting:
    """One key of a section."""

    name: str
    types: tuple[type, ...]
    """Types of a value, or of an item where `several` is true; without None."""
    choices: tuple[Any, ...]
    """Literal values, besides `types`."""
    several: bool
    """The value is a list."""
    bounds: tuple[Bound, ...]
    marks: tuple[Mark, ...]
    default: Any
    """MISSING for a required key."""
    doc: str

    @property
    def help(self) -> str:
        """First sentence of the docstring."""
        return re.split(r"(?<=[.)])\s+(?=[A-Z]|`null`)", without_sections(self.doc))[0]


@cache
def settings_of(section: type) -> tuple[Setting, ...]:
    """Settings of a section's dataclass, in the order of its fields."""
    hints = get_type_hints(section, include_extras=True)
    docs = _docstrings(section)
    found = []
    for field in fields(section):
        types: list[type] = []
        choices: list[Any] = []
        notes: list[Any] = []
        several = False
        remaining = [hints[field.name]]
        while remaining:
            hint = remaining.pop(0)
            origin, args = get_origin(hint), get_args(hint)
            if origin is Annotated:
                notes += args[1:]
                remaining.insert(0, args[0])
            elif origin is Literal:
                choices += args
            elif origin in (Union, UnionType):
                remaining = [*args, *remaining]
            elif origin is tuple:
                several, remaining = True, [args[0], *remaining]
            elif hint is not NoneType:
                types.append(hint)
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        found.append(
            Setting(
                name=field.name,
                types=tuple(types),
                choices=tuple(choices),
                several=several,
                bounds=tuple(each for each in notes if isinstance(each, Bound)),
                marks=tuple(each for each in notes if isinstance(each, Mark)),
                default=default,
                doc=docs.get(field.name, ""),
            )
        )
    return tuple(found)


def without_sections(text: str | None) -> str:
    """`text` without references to the paper in parentheses."""
    return re.sub(r" \([^()]*(§|Fig)[^()]*\)", "", text or "")


def influential(section: Any) -> dict[str, Any]:
    """Settings of a section that can change a result, with their values."""
    return {
        setting.name: getattr(section, setting.name)
        for setting in settings_of(section.__class__)
        if NO_INFLUENCE not in setting.marks
    }


def non_default(section: Any) -> dict[str, Any]:
    """Influential settings whose values are not their defaults."""
    defaults = {each.name: each.default for each in settings_of(section.__class__)}
    values = influential(section)
    return {name: values[name] for name in values if values[name] != defaults[name]}


def dotted(recipe: Any) -> dict[str, Any]:
    """Dotted key → value of every setting of a recipe."""
    return {key: value for key, value, _ in walk_settings(recipe)}


def walk_settings(section: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, value and default of every setting; MISSING for no default."""
    for field in fields(section):
        key, value = f"{prefix}{field.name}", getattr(section, field.name)
        if is_dataclass(value):
            yield from walk_settings(value, f"{key}.")
        else:
            yield key, value, field.default


def written(value: object) -> str:
    """Value as a recipe writes it; text without quotes."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=vars)


def _docstrings(section: type) -> dict[str, str]:
    """String literals after the fields of a dataclass and of its bases, on one line."""
    docs = {}
    for base in reversed(section.__mro__[:-1]):
        body = _classes(base.__module__).get(base.__name__, [])
        for field, after in pairwise(body):
            match field, after:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    docs[name] = " ".join(text.split())
    return docs


@cache
def _classes(module: str) -> dict[str, list[ast.stmt]]:
    """Bodies of the classes of a module, by name."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        each.name: each.body for each in tree.body if isinstance(each, ast.ClassDef)
    }


def counted(number: int, noun: str) -> str:
    """Format a number of things: `1 clip`, `2 clips`, `1,000 clips`."""
    return f"{number:,} {plural(number, noun)}"


def plural(number: int | float, noun: str) -> str:
    """Noun for that number of things."""
    return noun if number == 1 else f"{noun}s"
