"""Combinations of a sweep: the runs that `svt sweep` trains, and their names.

An axis has several values of one or more keys. The variants of a recipe are an axis,
and so are seeds. A run is named after the recipe and the values that its training
depends on; combinations of other keys (of sample, eval, render) share a run.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product

from svtcli.evaluate.run_scores import CLIPS, SEED, text
from svtcli.failure import Refused
from svtcli.recipe.document import BadRecipe, Problem
from svtcli.recipe.load import LoadedRecipe, load_recipe, read_variants
from svtcli.recipe.setting import dotted, influential
from svtcli.recipe.variants import SWEEP, Variants
from svtcli.run.directory import RunFolder, run_folder
from svtcli.run.durable import fingerprint
from svtcli.run.names import shortened, typed

LATER = ("sample", "eval", "render", "about")
"""Sections that training does not depend on."""
LONGEST_WORD, LONGEST_NAME = 48, 160
"""Letters of a value, and of a name; longer ones end with a fingerprint."""
CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Axis:
    """Values of one or more keys."""

    keys: tuple[str, ...]
    """`model.d`; `sweep` alone stands for the recipe's variants."""
    values: tuple[str, ...]
    varied: bool
    """It belongs to the product, also with one value; else it is an override."""

    @property
    def of_variants(self) -> bool:
        """Its values are names of variants."""
        return self.keys == (SWEEP,)

    @property
    def label(self) -> str:
        """Heading of a column."""
        return "variant" if self.of_variants else ", ".join(self.keys)


Cell = tuple[tuple[Axis, str], ...]
"""One value of every axis."""


@dataclass(frozen=True)
class Combination:
    """A recipe with one value of every axis."""

    loaded: LoadedRecipe
    settings: dict[str, str]
    """Label of an axis → value; without the seed."""


@dataclass(frozen=True)
class SweepRun:
    """A run, and the combinations that are sampled and scored of it."""

    folder: RunFolder
    combinations: tuple[Combination, ...]


@dataclass(frozen=True)
class Sweep:
    """All runs of a sweep, in order."""

    name: str
    """Name of the recipe and of the axes."""
    runs: tuple[SweepRun, ...]

    @property
    def defaults_taken(self) -> tuple[str, ...]:
        """Lines about values left empty, as in `train.steps=5,`."""
        each = (loaded.loaded for run in self.runs for loaded in run.combinations)
        return tuple(dict.fromkeys(x for one in each for x in one.defaults_taken))


def plan_sweep(
    recipe: str, words: Sequence[str], seeds: int | None = None, prefix: str = ""
) -> Sweep:
    """Combine the values of `words`: overrides KEY=A,B,C or KEY,KEY=A,B,C.

    `seeds` is a number of seeds; `prefix` replaces the recipe's name in the names of
    the runs. Errors: Refused for words that are none; BadRecipe with the problems of
    all combinations.
    """
    variants = read_variants(recipe)
    axes = [_axis(word) for word in words]
    if variants and not any(axis.of_variants for axis in axes):
        axes.insert(0, Axis((SWEEP,), tuple(variants), True))
    _check(axes, variants)
    if seeds is not None:
        if any(SEED in axis.keys for axis in axes):
            raise Refused(f"--seeds {seeds} and {SEED}: choose one")
        first = load_recipe(recipe).recipe.train.seed
        numbers = range(first, first + seeds)
        axes.append(Axis((SEED,), tuple(map(str, numbers)), True))
    if not any(axis.varied for axis in axes):
        raise Refused(
            "a sweep needs a key with several values, or --seeds",
            f"for example train.learning_rate=1e-3,3e-3; one run: "
            f"{typed('svt', 'run', recipe)}",
        )
    varied = [axis for axis in axes if axis.varied]
    runs: dict[str, list[Combination]] = {}
    for loaded, cell in _loaded(recipe, axes, variants):
        words_of = _words(loaded, cell, variants)
        name = shortened("-".join([prefix or loaded.name, *words_of]), LONGEST_NAME)
        settings = {
            axis.label: value if axis.of_variants else _value(loaded, axis)
            for axis, value in cell
            if axis in varied and axis.keys != (SEED,)
        }
        runs.setdefault(name, []).append(Combination(loaded, settings))
    _refuse_equal(runs)
    of_axes = [axis.keys[0].rpartition(".")[2] for axis in varied]
    return Sweep(
        shortened("-".join([prefix or loaded.name, *of_axes]), LONGEST_NAME),
        tuple(SweepRun(run_folder(name), tuple(some)) for name, some in runs.items()),
    )


def split_values(given: str) -> list[str]:
    """Split at the commas outside of brackets, braces and quotes."""
    values, closing, quote = [""], "", ""
    for letter in given:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and not values[-1].strip(" [{,:"):
            quote = letter
        elif letter in CLOSING:
            closing += CLOSING[letter]
        elif closing and letter == closing[-1]:
            closing = closing[:-1]
        elif letter == "," and not closing:
            values.append("")
            continue
        values[-1] += letter
    return [value.strip() for value in values]


def _axis(word: str) -> Axis:
    """Axis of an override. Errors: Refused."""
    keys, equals, given = word.partition("=")
    names = tuple(key.strip() for key in keys.split(","))
    if not equals or not all(names):
        raise Refused(f"{word}: is not KEY=VALUE,VALUE", "for example: model.d=64,128")
    values = split_values(given)
    if len(values) > 1 and "" in values:
        raise Refused(f"{word}: a value between two commas is missing")
    return Axis(names, tuple(values), len(values) > 1 or names == (SWEEP,))


def _check(axes: Sequence[Axis], variants: Variants) -> None:
    """Refuse keys that are given twice, and variants that are not there."""
    keys = [key for axis in axes for key in axis.keys]
    for key in keys:
        if keys.count(key) > 1:
            raise Refused(f"{key}: is given twice", f"write {key}=A,B once")
    for axis in axes:
        if SWEEP in axis.keys and not axis.of_variants:
            raise Refused(f"{SWEEP}: names variants, and goes with no other key")
        for value in axis.values if axis.of_variants else ():
            if value not in variants:
                near = get_close_matches(value, variants, n=1)
                known = f"the recipe has: {', '.join(variants) or 'no variants'}"
                hint = f"did you mean {near[0]}?" if near else known
                raise Refused(f"{SWEEP}={value}: no such variant", hint)


def _loaded(
    recipe: str, axes: Sequence[Axis], variants: Variants
) -> Iterator[tuple[LoadedRecipe, Cell]]:
    """Recipe of each combination. Errors: BadRecipe with the problems of all."""
    found, problems = [], list[Problem]()
    for values in product(*(axis.values for axis in axes)):
        cell = tuple(zip(axes, values, strict=True))
        variant = next((value for axis, value in cell if axis.of_variants), None)
        overrides = [
            f"{key}={value}"
            for axis, value in cell
            if not axis.of_variants
            for key in axis.keys
        ]
        try:
            loaded = load_recipe(recipe, overrides, variant)
            if own := _own_clips(loaded, cell, variants):
                loaded = load_recipe(recipe, [*overrides, own], variant)
            found.append((loaded, cell))
        except BadRecipe as error:
            problems += error.problems
    if problems:
        raise BadRecipe(problems)
    yield from found


def _keys(axis: Axis, value: str, variants: Variants) -> tuple[str, ...]:
    """Keys that a value of the axis sets."""
    return tuple(variants[value]) if axis.of_variants else axis.keys


def _own_clips(loaded: LoadedRecipe, cell: Cell, variants: Variants) -> str:
    """Override for clips of their own, where combinations differ in their data."""
    parts = [
        _word_of(loaded, axis, value)
        for axis, value in cell
        if axis.varied
        and any(key.startswith("data.") for key in _keys(axis, value, variants))
    ]
    named = any(CLIPS in _keys(axis, value, variants) for axis, value in cell)
    if named or not parts:
        return ""
    return f"{CLIPS}={'-'.join([loaded.recipe.data.clips or '', *parts])}"


def _words(loaded: LoadedRecipe, cell: Cell, variants: Variants) -> Iterator[str]:
    """Parts of a run's name: values of what training depends on.

    A variant that sets other keys alone names its run as well if another one trains.
    """
    recipe = loaded.recipe
    decisive = {
        f"{section}.{key}"
        for section in ("model", "train")
        for key in influential(getattr(recipe, section))
    }
    for axis, value in cell:
        keys = {key for each in axis.values for key in _keys(axis, each, variants)}
        trains = any(key.partition(".")[0] not in LATER for key in keys)
        if trains if axis.varied else keys & decisive:
            yield _word_of(loaded, axis, value)


def _word_of(loaded: LoadedRecipe, axis: Axis, value: str) -> str:
    """Value in letters of a folder's name: `d_64`, `blocks_1.8.8_1.16.8`."""
    if axis.of_variants:
        return value
    setting = dotted(loaded.recipe).get(axis.keys[0], value)
    word = re.sub(r"\],? *\[", "_", text(setting))
    word = re.sub(r"[^A-Za-z0-9_+.-]+", ".", word).strip(".")
    if isinstance(setting, str) and word != setting:  # another text may look like it
        word += f".{fingerprint(setting)[:4]}"
    return f"{axis.keys[0].rpartition('.')[2]}_{shortened(word, LONGEST_WORD)}"


def _value(loaded: LoadedRecipe, axis: Axis) -> str:
    """Value of an axis as the table shows it."""
    return text(dotted(loaded.recipe).get(axis.keys[0], ""))


def _refuse_equal(runs: dict[str, list[Combination]]) -> None:
    """Refuse values that are the same, such as 1e-3 and 0.001."""
    for name, some in runs.items():
        recipes = [each.loaded.recipe for each in some]
        if any(recipe in recipes[:place] for place, recipe in enumerate(recipes)):
            raise Refused(
                f"{name}: two combinations are the same recipe",
                "leave out values that are equal, such as 1e-3 beside 0.001",
            )
