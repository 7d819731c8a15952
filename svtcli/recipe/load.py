"""Find a recipe by name or file; load it with overrides; write it back as text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from svtcli.failure import Refused
from svtcli.recipe.addresses import refuse_address
from svtcli.recipe.data import clips_folder
from svtcli.recipe.document import (
    BadRecipe,
    Document,
    Place,
    Problem,
    Text,
    core_value,
    read_document,
    read_file,
)
from svtcli.recipe.schema import Recipe
from svtcli.recipe.validate import did_you_mean, keys_at, keys_of_source, validate
from svtcli.recipe.variants import SWEEP, Variants, take_variants

SUFFIXES = (".yaml", ".yml")
OVERRIDE = "command line"
"""Origin of a problem in an override."""


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and its origin."""

    name: str
    """Name of the file without `.yaml`; runs and clips are named after it."""
    recipe: Recipe
    overrides: tuple[str, ...]
    source: str
    """Path of the file."""

    @property
    def defaults_taken(self) -> tuple[str, ...]:
        """Lines about overrides without a value, as `train.steps=$N` without an N."""
        last = dict(each.split("=", 1) for each in self.overrides)
        keys = [key.strip() for key, value in last.items() if not value.strip()]
        taken = {key: reduce(getattr, key.split("."), self.recipe) for key in keys}
        return tuple(f"{k}= without a value: default {flow(taken[k])}" for k in taken)


def shipped_recipes() -> Mapping[str, Path]:
    """Name → file of the recipes in an installed wheel, else in the source tree."""
    package = Path(__file__).parents[1]
    installed = package / "shipped_recipes"
    folder = installed if installed.is_dir() else package.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_about(path: Path) -> str:
    """Line `about` of a recipe file, whose other keys are not checked."""
    value = read_file(path).value
    about = value.get("about") if isinstance(value, dict) else None
    return about if isinstance(about, str) else ""


def read_needs(path: Path) -> str:
    """Hardware in the header of a recipe file: `8 GPUs of 80 GB for about 2.5 days`.

    Empty without a header that says so.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(r"^# needs +((?:.+\n)(?:#  +.+\n)*)", text, re.MULTILINE)
    if found is None:
        return ""
    words = " ".join(re.sub(r"^#", "", found[1], flags=re.MULTILINE).split())
    return re.split(r" \(|[,;]|\. ", words)[0]


def copy_text(path: Path) -> tuple[str, dict[str, Any]]:
    """Text of a recipe file for a copy, and the keys of `data` that it leaves out.

    Of a shipped recipe these are the ones that name its own videos or arrays, or
    describe their files: they fit no others. A copy of any other file is exact.
    """
    text, data = path.read_text(encoding="utf-8"), read_file(path)
    if path not in shipped_recipes().values():
        return text, {}
    left_out = {
        key: value
        for key, value in data.value.get("data", {}).items()
        if key in keys_of_source(data.value["data"].get("kind"))
    }
    places = {data.keys["data", key].line - 1 for key in left_out}
    lines = text.splitlines(keepends=True)
    return "".join(lines[n] for n in range(len(lines)) if n not in places), left_out


def find_recipe(name_or_path: str, beside: Path | None = None) -> Path:
    """File of a RECIPE: a path, or the name of a shipped recipe.

    `beside` is a folder whose recipes come before the shipped ones (for `base: NAME`),
    and where relative paths start. Errors: Refused, with the nearest name.
    """
    refuse_address(name_or_path)
    path, shipped = (beside or Path()) / name_or_path, shipped_recipes()
    is_path = path.suffix in SUFFIXES or len(Path(name_or_path).parts) > 1
    if not is_path:
        neighbour = path.parent / f"{path.name}.yaml"
        if beside is not None and neighbour.is_file():
            return neighbour
        if name_or_path in shipped:
            return shipped[name_or_path]
    if path.is_file():
        return path
    if path.is_dir():
        raise Refused(f"{name_or_path}: a folder, not a recipe")
    files = [file.name for file in path.parent.glob("*") if file.suffix in SUFFIXES]
    name = path.stem if is_path else name_or_path
    own = path.name if is_path else f"{name}.yaml"
    if near := get_close_matches(own, files, n=1, cutoff=0.6 if is_path else 1):
        hint = f"did you mean {path.parent / near[0]}?"
    elif near := get_close_matches(name, shipped, n=1):
        hint = f"did you mean {near[0]}?"
    else:
        hint = "svt recipes list shows the shipped ones; a file is named with its .yaml"
    what = f"{name_or_path}: no such file"
    raise Refused(what if is_path else f"no recipe called {name_or_path!r}", hint)


def load_recipe(
    name_or_path: str, overrides: Sequence[str] = (), variant: str | None = None
) -> LoadedRecipe:
    """Load a file or a shipped recipe, over its base, with overrides on top.

    `variant` names one of the section `sweep`; its keys come before the overrides.
    Errors: Refused for a missing file; BadRecipe (a Refused) with all
    problems of file, base and overrides at once.
    """
    path = find_recipe(name_or_path)
    document, variants = _read(path)
    changes = {} if variant is None else variants[variant]
    for key, value in changes.items():
        at = (SWEEP, str(variant), key)
        inner = {
            place[len(at) :]: document.values[place]
            for place in list(document.values)
            if place[: len(at)] == at
        }
        _set(document, tuple(key.split(".")), value, document.keys[at], inner)
    recipe = _checked(document, overrides)
    # Filled in here, for a run may have another name.
    clips = str(clips_folder(recipe.data, path.stem))
    recipe = replace(recipe, data=replace(recipe.data, clips=clips))
    all_overrides = *(f"{key}={flow(changes[key])}" for key in changes), *overrides
    return LoadedRecipe(path.stem, recipe, all_overrides, str(path))


def read_variants(name_or_path: str) -> Variants:
    """Variants in the section `sweep` of a recipe; their keys are not checked.

    Errors: as `load_recipe`, but for the other sections.
    """
    document, variants = _read(find_recipe(name_or_path))
    if document.problems:
        raise BadRecipe(document.problems)
    return variants


def load_variants(
    name_or_path: str, overrides: Sequence[str] = ()
) -> dict[str, LoadedRecipe]:
    """Load every variant of a recipe. Errors: BadRecipe with the problems of all."""
    found, problems = {}, list[Problem]()
    for variant in read_variants(name_or_path):
        try:
            found[variant] = load_recipe(name_or_path, overrides, variant)
        except BadRecipe as error:
            problems += error.problems
    if problems:
        raise BadRecipe(problems)
    return found


def _read(path: Path) -> tuple[Document, Variants]:
    """Recipe in a file, over its base, and its own variants."""
    own = read_file(path)
    _open_sections(own)
    variants = take_variants(own)
    return _with_base(own, path.parent), variants


def recipe_from_text(text: str, origin: str, overrides: Sequence[str] = ()) -> Recipe:
    """Recipe in a text; `origin` is the file it came from, for messages.

    It has no base: a recipe from elsewhere must not have other files read.
    """
    document = read_document(Text(origin, text))
    _open_sections(document)
    return _checked(document, overrides)


def dump_recipe(recipe: Recipe) -> str:
    """Every key as YAML that loads back to the same recipe."""
    return _dumped(asdict(recipe), sort_keys=False)


def flow(value: Any) -> str:
    """Value as an override or a list writes it: YAML on one line."""
    text = _dumped(value, default_flow_style=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _dumped(value: Any, **form: Any) -> str:
    form |= {"Dumper": _CoreDumper, "allow_unicode": True, "width": 10_000}
    return str(yaml.dump(value, **form))


def _checked(document: Document, overrides: Sequence[str]) -> Recipe:
    """Recipe with `overrides`. Errors: BadRecipe with all problems of both."""
    problems: list[Problem] = []
    for override in overrides:
        try:
            apply_override(document, override)
        except BadRecipe as error:
            problems += error.problems
    _read_earlier_keys(document)
    try:
        recipe = validate(document)
    except BadRecipe as error:
        problems += error.problems
    if problems:
        raise BadRecipe(problems)
    return recipe


def _read_earlier_keys(document: Document) -> None:
    """Read `train.tensorboard: true` as `train.log: [tensorboard]`."""
    train = document.value.get("train")
    if not isinstance(train, dict) or not isinstance(train.get("tensorboard"), bool):
        return
    log = train.setdefault("log", [])
    if isinstance(log, list) and train.pop("tensorboard") and "tensorboard" not in log:
        train["log"] = ["tensorboard", *log]


def _with_base(own: Document, folder: Path) -> Document:
    """Merge `own`, key by key, over the recipe that its `base` names."""
    if "base" not in own.value:
        return own
    named, place = own.value.pop("base"), own.values["base",]
    if not isinstance(named, str):
        what = "base: should be the name of a recipe or a file"
        raise BadRecipe([*own.problems, Problem(place, what)])
    try:
        base = read_file(find_recipe(named, beside=folder))
    except BadRecipe:
        raise
    except Refused as error:
        what = f"base: {error.sentence}" + (f"; {error.hint}" if error.hint else "")
        raise BadRecipe([*own.problems, Problem(place, what)]) from error
    _open_sections(base)
    take_variants(base)  # are those of the base alone
    if "base" in base.value:
        what = f"base: {named} has a base itself; a recipe inherits one level"
        raise BadRecipe([*own.problems, Problem(place, what)])
    return _merged(base, own)


def _open_sections(document: Document) -> None:
    """Make sure the recipe is a mapping; a section left empty has no keys."""
    if not isinstance(document.value, dict):
        what = (
            "the recipe is empty"
            if document.value is None
            else "a recipe is made of sections, such as data: and model:"
        )
        raise BadRecipe([Problem(document.values[()], what)])
    for name, section in document.value.items():
        if section is None and name not in ("about", "base"):
            document.value[name] = {}


def _merged(base: Document, own: Document) -> Document:
    """Put every key of `own` over `base`."""
    for name, section in own.value.items():
        below = base.value.get(name)
        # Sections are merged, unless their kinds of data differ.
        if (
            isinstance(section, dict)
            and isinstance(below, dict)
            and section.get("kind", below.get("kind")) == below.get("kind")
        ):
            for key, value in section.items():
                below[key] = value
                _forget(base, (name, key))
        else:
            base.value[name] = section
            _forget(base, (name,))
    base.keys.update(own.keys)
    base.values.update(own.values)
    base.problems += own.problems
    return base


def apply_override(document: Document, override: str) -> None:
    """Set one key of `document`; its place is then the override.

    The value is YAML as in a file: a number, a word, a list such as [4, 2, 2]. Without
    a value, as in `data.match=`, the key takes its default. Errors: BadRecipe, pointing
    into the override.
    """
    name, equals, value = override.partition("=")
    whole = Place(OVERRIDE, 1, 1, override)
    if not equals:
        raise BadRecipe([Problem(whole, "an override is section.key=value")])
    path = tuple(name.strip().split("."))
    if path != ("about",) and (len(path) != 2 or not all(path)):
        hint = did_you_mean(path, document.value) if len(path) == 1 else ""
        what = f"an override sets one key of a section, section.key=value{hint}"
        raise BadRecipe([Problem(whole, what)])
    section = document.value.get(path[0]) if path[1:] else document.value
    if not value.strip() and path[-1] in keys_at(path[:-1], section):
        if isinstance(section, dict):
            section.pop(path[-1], None)
        _forget(document, path)
        return
    changed = read_document(Text(OVERRIDE, value, prefix=f"{name}="))
    if changed.problems:
        raise BadRecipe(changed.problems)
    _set(document, path, changed.value, whole, changed.values)


def _set(
    document: Document,
    path: tuple[str, ...],
    value: Any,
    place: Place,
    values: Mapping[tuple[str | int, ...], Place],
) -> None:
    """Set the key at `path`; its place, and those of its values, are the new ones."""
    target = document.value
    if len(path) == 2:
        # A section that is not one is the file's own problem, found by the schema.
        target = target.setdefault(path[0], {})
        document.keys.setdefault(path[:1], place)
        document.values.setdefault(path[:1], place)
    if isinstance(target, dict):
        target[path[-1]] = value
        _forget(document, path)
        document.keys[path] = place
        for inner, where in values.items():
            document.values[*path, *inner] = where


def _forget(document: Document, path: tuple[str, ...]) -> None:
    """Drop the places of all keys and values inside `path`."""
    for places in (document.keys, document.values):
        for known in [known for known in places if known[: len(path)] == path]:
            del places[known]


class _CoreDumper(yaml.SafeDumper):
    """Quotes text that would be read as something else: numbers, line breaks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = core_value(value) == value and value.isprintable()
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(dumper: yaml.SafeDumper, value: Sequence[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_CoreDumper.add_representer(str, _text)
_CoreDumper.add_representer(tuple, _list)
_CoreDumper.add_representer(list, _list)
