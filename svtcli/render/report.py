"""What the report page says of samples: their runs' numbers, curves, recipes, commands.

Samples that lie in no run have a page too, of the videos alone.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from svtcli import __version__
from svtcli.evaluate.comparison import is_comparison, read_comparison
from svtcli.evaluate.likelihood_results import Evaluation, read_evaluation
from svtcli.recipe.schema import Render
from svtcli.render.groups import Group
from svtcli.render.page import Made, Page, Table, page_html
from svtcli.render.player import Played
from svtcli.render.report_inputs import evaluation_files, runs_of
from svtcli.render.report_tables import (
    UNITS,
    comparison_charts,
    comparison_table,
    likelihood_chart,
    likelihood_table,
)
from svtcli.render.svg_chart import Chart, Line
from svtcli.run.directory import RunFolder
from svtcli.run.durable import writing
from svtcli.run.manifest import RunFacts, read_run
from svtcli.run.metrics_log import Row, read_metrics
from svtcli.run.samples import read_facts

POINTS = 400
"""Of a training curve; of more rows, means are drawn."""


def write_report(
    path: Path,
    folders: Sequence[Path],
    groups: tuple[Group, ...],
    facts: tuple[str, ...],
    times: tuple[int, ...],
    settings: Render,
) -> None:
    """Write the page of these samples folders. Errors: as `report`."""
    text = page_html(report(folders, groups, facts, times, settings))
    with writing(path):
        path.write_text(text, encoding="utf-8")


def report(
    folders: Sequence[Path],
    groups: tuple[Group, ...],
    facts: tuple[str, ...],
    times: tuple[int, ...],
    settings: Render,
) -> Page:
    """All that the page shows; `groups`, `facts` and `times` as in other pictures.

    Errors: BadData for a file of a run that is not what it should be.
    """
    return replace(
        report_of_runs(folders),
        facts=facts,
        played=Played(groups, times, settings.scale, settings.smooth, settings.fps),
    )


def report_of_runs(folders: Sequence[Path]) -> Page:
    """The page without its samples. Errors: as `report`."""
    runs = runs_of(folders)
    tables, charts = _numbers(runs, {read_facts(folder).step for folder in folders})
    return Page(
        title=" beside ".join(map(_title, folders)) or "Samples",
        about="; ".join(dict.fromkeys(run.recipe().about for run in runs)),
        tables=tables,
        charts=charts,
        made=tuple(map(_made, runs)),
        svt=__version__,
    )


def _title(folder: Path) -> str:
    facts = read_facts(folder)
    return f"{facts.run}, step {facts.step}"


def _numbers(
    runs: Sequence[RunFolder], steps: set[int]
) -> tuple[tuple[Table, ...], tuple[Chart, ...]]:
    """Tables of all evaluations, the latest step's first; curves of the steps shown."""
    files = [file for run in runs for file in evaluation_files(run)]
    comparisons = [read_comparison(file) for file in files if is_comparison(file)]
    scored = [read_evaluation(file) for file in files if not is_comparison(file)]
    scored.sort(key=lambda each: -each.step)
    comparisons.sort(key=lambda each: -(each.made.step if each.made else 0))
    tables = [
        *map(likelihood_table, scored),
        *map(comparison_table, comparisons),
    ]
    charts = [chart for run in runs for chart in training_charts(run)]
    charts += map(likelihood_chart, _fullest(scored, steps))
    for compared in comparisons:
        if compared.made is None or compared.made.step in steps:
            charts += comparison_charts(compared)
    return tuple(tables), tuple(charts)


def _fullest(scored: Sequence[Evaluation], steps: set[int]) -> list[Evaluation]:
    """Of each run, step and split, the evaluation of the most clips."""
    best: dict[tuple[str, int, str], Evaluation] = {}
    for each in scored:
        key = (each.run, each.step, each.split)
        if each.step in steps and each.clips > (best[key].clips if key in best else 0):
            best[key] = each
    return list(best.values())


def training_charts(run: RunFolder) -> tuple[Chart, ...]:
    """The score of the clips that are trained on, and of held-out ones, by step."""
    rows = read_metrics(run.metrics)
    charts = []
    for name, unit in UNITS.items():
        lines = [
            line
            for key, label in ((name, "training"), (f"validation_{name}", "validation"))
            if (line := _curve(rows, key, label))
        ]
        if lines:
            title = f"Training of {run.name}"
            charts.append(
                Chart(title, "step", unit, tuple(lines), _thinned(rows, name))
            )
    return tuple(charts)


def _curve(rows: Sequence[Row], key: str, label: str) -> Line | None:
    """One name's values; of too many, means of as many neighbours each."""
    points = [(float(row["step"]), float(row[key])) for row in rows if key in row]
    every = _every(len(points))
    parts = [points[n : n + every] for n in range(0, len(points), every)]
    if not parts:
        return None
    steps = tuple(_mean([step for step, _ in part]) for part in parts)
    return Line(
        label, steps, tuple(_mean([value for _, value in part]) for part in parts)
    )


def _thinned(rows: Sequence[Row], key: str) -> str:
    every = _every(sum(key in row for row in rows))
    return f"each point is the mean of {every} logged values" if every > 1 else ""


def _every(points: int) -> int:
    return max(1, -(-points // POINTS))


def _mean(values: Sequence[float]) -> float:
    """Of the finite ones; NaN if there are none."""
    finite = [value for value in values if isfinite(value)]
    return sum(finite) / len(finite) if finite else float("nan")


def _made(run: RunFolder) -> Made:
    """Command, recipe and environment; without run.json the recipe alone."""
    recipe = run.recipe_file.read_text(encoding="utf-8")
    facts = read_run(run) if run.run_file.is_file() else None
    command = shlex.join(facts.command) if facts else None
    return Made(run.name, command, recipe, _environment(facts) if facts else ())


def _environment(facts: RunFacts) -> tuple[tuple[str, str], ...]:
    """What the run was computed with."""
    return (
        ("recipe", f"{facts.recipe} ({facts.recipe_fingerprint[:12]})"),
        *([("overrides", " ".join(facts.overrides))] if facts.overrides else []),
        ("seed", f"{facts.seed}"),
        ("devices", ", ".join(facts.devices)),
        ("clips", facts.data_fingerprint[:12]),
        *([("svt's commit", facts.git_commit)] if facts.git_commit else []),
        *facts.versions.items(),
    )
