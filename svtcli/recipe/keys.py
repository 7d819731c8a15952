"""Which keys a recipe's sections have, to guess what a wrong one was meant to be."""

from collections.abc import Iterator
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, get_args

from svtcli.recipe.data import Data
from svtcli.recipe.document import Path
from svtcli.recipe.model import Dilated, Model
from svtcli.recipe.schema import Eval, Mesh, Recipe, Render, Sample, Train

SECTIONS: dict[str, type] = {
    "model": Model,
    "train": Train,
    "mesh": Mesh,
    "sample": Sample,
    "eval": Eval,
    "render": Render,
}


def did_you_mean(path: Path, recipe: Any) -> str:
    """`; did you mean …?` for the unknown key `path`: a key of the same section, best
    one that is not given yet, else the same key of another section; or nothing."""
    given: Any = recipe
    for part in path[:-1]:
        given = given[part]
    wanted = str(path[-1])
    keys = _keys(path[:-1], given)
    free = [key for key in keys if key not in given]
    elsewhere = [
        f"{name}.{wanted}"
        for name in (*SECTIONS, "data")
        if wanted in _keys((name,), recipe.get(name))
    ]
    near = (
        get_close_matches(wanted, free, n=1)
        or get_close_matches(wanted, keys, n=1)
        or elsewhere
    )
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _keys(path: Path, given: Any) -> list[str]:
    """The keys of the section at `path`, of which `given` is written."""
    match path:
        case ():
            return ["base", *_names(Recipe)]
        case ("data",):
            return [name for kind in _kinds(given) for name in _names(kind)]
        case (str(section),) if section in SECTIONS:
            return _names(SECTIONS[section])
        case ("model", "blocks", _):
            return _names(Dilated)
    return []


def _kinds(given: Any) -> Iterator[type]:
    """The data class whose `kind` is given."""
    kind = given.get("kind") if isinstance(given, dict) else None
    for known in data_kinds():
        if get_args(known.__annotations__["kind"]) == (kind,):
            yield known


def data_kinds() -> tuple[type, ...]:
    """What the section `data` can be."""
    union, *_ = get_args(Data)
    return get_args(union)


def _names(section: type) -> list[str]:
    return [field.name for field in fields(section)]
