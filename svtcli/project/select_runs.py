"""Choose and sort runs by their recipes' keys and their scores; no jax here.

Keys: a recipe's, such as `model.d`; a score's, `test.fvd` or `fvd` alone; and the
columns of `svt runs list`: name, step, steps, last, best, changed, size.
"""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import isnan
from pathlib import Path
from typing import Any

from svtcli.evaluate.run_scores import lower_is_better, run_scores
from svtcli.failure import Failure, Refused, in_words
from svtcli.project.runs import Overview, list_runs
from svtcli.recipe.document import BadRecipe, Text, read_document
from svtcli.recipe.schema import METRICS, UNITS
from svtcli.recipe.setting import dotted
from svtcli.run.directory import RunFolder

SCORES = (*METRICS, *UNITS)
"""Names of scores without their split."""
COLUMNS = ("name", "step", "steps", "last", "best", "changed", "size")
LOGGED = ("training", "validation")
"""Scores of the log; one of the same name that was evaluated comes before them."""
CONDITION = re.compile(r"\s*([\w.-]+?)\s*(!=|<=|>=|==|=|<|>)(.*)", re.DOTALL)
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A comparison of a run's value with another one."""

    key: str
    sign: str
    value: Any

    def holds(self, value: Any) -> bool:
        """Return True for a value that fits; one that is not there does not."""
        if self.sign in ORDERS:
            both = (value, self.value)
            numbers = all(isinstance(each, int | float) for each in both)
            return numbers and ORDERS[self.sign](value, self.value)
        return (plain(value) == plain(self.value)) is (self.sign != "!=")


def select_runs(
    root: Path, where: Sequence[str] = (), sort: str | None = None
) -> tuple[list[Overview], list[str]]:
    """Runs that meet all conditions `where`, sorted; and the keys that were asked for.

    Conditions are KEY=V, !=, <, <=, >, >=. Scores are sorted from best to worst, all
    else ascending; runs without the value come last, as do those that cannot be read.
    Errors: Refused for a condition that is none and for a key that no run has.
    """
    conditions = [_condition(text) for text in where]
    found: list[tuple[dict[str, Any], Overview]] = []
    broken: list[Overview] = []
    for line, folder in list_runs(root):
        try:
            if line.problem is None:
                found.append((_values(folder, line), line))
            else:
                broken.append(line)
        except Failure as error:
            problem = in_words(error).splitlines()[0]
            broken.append(replace(line, problem=problem))
    asked = [*(each.key for each in conditions), *([sort] if sort else [])]
    known = list(dict.fromkeys(key for values, _ in found for key in values))
    names = {key: _names(key, known) if found else () for key in asked}
    chosen = []
    for values, line in found:
        own = {
            key: next((values[name] for name in names[key] if name in values), None)
            for key in names
        }
        if all(each.holds(own[each.key]) for each in conditions):
            chosen.append(replace(line, values=own))
    if sort:
        chosen.sort(key=lambda line: _rank(line.values[sort], sort))
    return [*chosen, *broken], list(names)


def plain(value: Any) -> Any:
    """Lists for tuples, to compare a recipe's value with one of the command line."""
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return vars(value) if hasattr(value, "__dataclass_fields__") else value


def _condition(text: str) -> Condition:
    """Condition in a text. Errors: Refused."""
    match = CONDITION.fullmatch(text)
    if match is None:
        raise Refused(
            f"--where {text}: is no condition",
            "KEY=VALUE, or !=, <, <=, >, >= in quotes: --where 'model.d>=64'",
        )
    key, sign, given = match.groups()
    try:
        document = read_document(Text("--where", given.strip()))
        if document.problems:
            raise BadRecipe(document.problems)
        value = document.value
    except BadRecipe:
        value = given.strip()
    if sign in ORDERS and (
        isinstance(value, bool) or not isinstance(value, int | float)
    ):
        raise Refused(f"--where {text}: {given.strip() or 'nothing'} is not a number")
    return Condition(key, sign, value)


def _values(folder: RunFolder, overview: Overview) -> dict[str, Any]:
    """Everything that a run can be chosen by. Errors: Failure."""
    columns = {name: getattr(overview, name) for name in COLUMNS}
    return columns | dotted(folder.recipe()) | run_scores(folder)


def _names(key: str, known: Sequence[str]) -> list[str]:
    """Names that a key stands for: its own, or those of a score in all splits.

    Scores of the log count where no run has others. Errors: Refused for a key that no
    run has.
    """
    if key in known:
        return [key]
    units = tuple(UNITS) if key == "likelihood" else (key,)
    same = [name for name in known if "." in name and name.rpartition(".")[2] in units]
    if key in SCORES and same:
        of_log = [name for name in same if name.partition(".")[0] in LOGGED]
        return [name for name in same if name not in of_log] or of_log[-1:]
    if key in SCORES:
        raise Refused(
            f"{key}: no run has this score", "svt eval RUN --metric measures it"
        )
    short = {name.rpartition(".")[2]: name for name in reversed(known)}
    near = get_close_matches(key, [*known, *SCORES, *short], n=1)
    hint = f"did you mean {short.get(near[0], near[0])}?" if near else None
    raise Refused(f"{key}: no run has such a key or score", hint)


def _rank(value: Any, key: str) -> tuple[bool, float, str]:
    """Place in the order: the best score or the smallest value first."""
    if isinstance(value, bool | int | float) and not isnan(value):
        higher = key.rpartition(".")[2] in METRICS and not lower_is_better(key)
        return False, float(-value if higher else value), ""
    return value is None, float("inf"), str(value)
