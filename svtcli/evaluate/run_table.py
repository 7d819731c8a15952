"""Table of runs: a row for each combination of settings, mean and spread over seeds."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from statistics import fmean, stdev
from typing import Any

from svtcli.evaluate.metrics import METRICS
from svtcli.evaluate.paper_table import published
from svtcli.evaluate.run_scores import Scored, Scores
from svtcli.recipe.document import FLOAT
from svtcli.recipe.schema import UNITS, Recipe

MISSING = "-"
"""Cell without a score."""


@dataclass(frozen=True)
class OverSeeds:
    """A score of runs that differ in their seed."""

    mean: float
    spread: float | None
    """Standard deviation (ddof 1); None for a single run, or one that diverged."""
    values: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """Runs with the same settings."""

    settings: dict[str, str]
    runs: tuple[str, ...]
    scores: dict[str, OverSeeds]
    paper: Scores
    """The paper's scores of this model."""


def table_rows(found: Sequence[Scored]) -> list[Row]:
    """Rows of the same settings, in their first order, with the spread over seeds."""
    groups: dict[tuple[str, ...], list[Scored]] = {}
    for each in found:
        groups.setdefault(tuple(each.settings.values()), []).append(each)
    rows = []
    for group in groups.values():
        names = dict.fromkeys(name for each in group for name in each.scores)
        scores = {name: _over_seeds(name, group) for name in names}
        paper = _paper(group[0].recipe, names)
        runs = tuple(dict.fromkeys(each.run for each in group))
        rows.append(Row(group[0].settings, runs, scores, paper))
    return rows


def ascending(rows: Sequence[Row]) -> list[Row]:
    """Rows by their settings, numbers before words."""

    def place(row: Row) -> list[tuple[float, str]]:
        return [
            (float(value), "") if FLOAT.fullmatch(value) else (inf, value)
            for value in row.settings.values()
        ]

    return sorted(rows, key=place)


def score_names(rows: Sequence[Row]) -> list[str]:
    """Names of all scores to show: those of the log where nothing was evaluated."""
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    for logged in ("training", "validation"):
        others = [name for name in names if not name.startswith(f"{logged}.")]
        names = others or names
    return names


def label(name: str) -> str:
    """Heading of a score: `bits/dim (test)`."""
    split, _, metric = name.rpartition(".")
    known: dict[str, str] = {
        name: getattr(each, "axis_label", each.label) for name, each in METRICS.items()
    }
    return f"{(known | UNITS).get(metric, metric)} ({split})"


def decimals(name: str) -> int:
    """Decimals that a table shows."""
    known = {str(name): each.decimals for name, each in METRICS.items()}
    return known.get(name.rpartition(".")[2], 3)


def _over_seeds(name: str, group: Sequence[Scored]) -> OverSeeds:
    values = tuple(each.scores[name] for each in group if name in each.scores)
    finite = all(map(isfinite, values))
    spread = stdev(values) if finite and len(values) > 1 else None
    return OverSeeds(fmean(values), spread, values)


def _paper(recipe: Recipe, names: Iterable[str]) -> Scores:
    """The paper's numbers that go by the names of scores."""
    found: Scores = {}
    for name in names:
        split, _, metric = name.rpartition(".")
        if row := published(recipe, split):
            values = {
                "fvd": row.fvd and row.fvd[0],
                "fvd-avg": row.fvd_avg and row.fvd_avg[0],
                **dict.fromkeys(UNITS, row.likelihood),
            }
            if (value := values.get(metric)) is not None:
                found[name] = value
    return found


def cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the table."""
    names = score_names(rows)
    settings = list(rows[0].settings) if rows else []
    of_paper = [name for name in names if any(name in row.paper for row in rows)]
    many = any(len(row.runs) > 1 for row in rows)
    headings = [
        *(settings or ["runs"]),
        *(["runs"] if many and settings else []),
        *map(label, names),
        *(f"the paper: {label(name)}" for name in of_paper),
    ]
    lines = [
        [
            *(row.settings.values() or [", ".join(row.runs)]),
            *([str(len(row.runs))] if many and settings else []),
            *(_score(name, row) for name in names),
            *(f"{row.paper[name]:g}" if name in row.paper else "" for name in of_paper),
        ]
        for row in rows
    ]
    return headings, lines


def markdown(rows: Sequence[Row], notes: Iterable[str] = ()) -> str:
    """The table in Markdown, with notes below it."""
    headings, lines = cells(rows)
    ruled = [headings, ["---"] * len(headings), *lines]
    table = ["| " + " | ".join(map(_escaped, line)) + " |" for line in ruled]
    return "\n".join([*table, *(f"\n{note}" for note in notes)]) + "\n"


def comma_separated(rows: Sequence[Row]) -> str:
    """The table as CSV, numbers in full: a mean and a spread column for each score."""
    names = score_names(rows)
    settings = list(rows[0].settings) if rows else []
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [each for name in names for each in (name, f"{name} spread")]
    writer.writerow([*settings, "runs", *columns])
    for row in rows:
        found = [row.scores.get(name) for name in names]
        numbers = [
            number
            for each in found
            for number in (
                ("", "")
                if each is None
                else (each.mean, "" if each.spread is None else each.spread)
            )
        ]
        writer.writerow([*row.settings.values(), " ".join(row.runs), *numbers])
    return file.getvalue()


def row_data(row: Row) -> dict[str, Any]:
    """JSON object of a row; numbers that are not finite become null."""
    finite: dict[str, Any] = _finite(asdict(row))
    return finite


def notes(rows: Sequence[Row]) -> list[str]:
    """Meaning of ±, and the direction of the scores."""
    many = [len(each.values) for row in rows for each in row.scores.values()]
    return (
        ["±: standard deviation over runs that differ in their seed"]
        if max(many, default=0) > 1
        else []
    )


def _score(name: str, row: Row) -> str:
    """Mean ± spread; how many runs of the row have it, where not all."""
    found = row.scores.get(name)
    if found is None:
        return MISSING
    digits = decimals(name)
    spread = "" if found.spread is None else f" ± {found.spread:.{digits}f}"
    of = len(found.values), len(row.runs)
    part = "" if of[0] >= of[1] else f" ({of[0]} of {of[1]})"
    return f"{found.mean:.{digits}f}{spread}{part}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, with None."""
    match value:
        case dict():
            return {key: _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case float() if not isfinite(value):
            return None
    return value
