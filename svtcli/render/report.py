"""Contents of the report page: samples, and their runs' numbers, curves and recipes.

Samples that lie in no run have a page too, of the videos alone.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from svtcli import __version__
from svtcli.evaluate.results import (
    LikelihoodResult,
    MetricsResult,
    count,
    metric_rows,
    protocol_notes,
)
from svtcli.recipe.schema import UNITS, Render
from svtcli.render.curves import RunData, page_panels
from svtcli.render.groups import Group, runs_of
from svtcli.render.page import Origin, Page, Player, Table
from svtcli.run.directory import RunFacts, RunFolder, read_run
from svtcli.run.samples import read_facts


def report(
    folders: Sequence[Path],
    groups: tuple[Group, ...],
    facts: tuple[str, ...],
    times: tuple[int, ...],
    settings: Render,
) -> Page:
    """Everything on the page; `groups`, `facts` and `times` as in other pictures.

    Errors: BadData for a broken file of a run.
    """
    return replace(
        report_of_runs(folders),
        facts=facts,
        player=Player(groups, times, settings.scale, settings.smooth, settings.fps),
    )


def report_of_runs(folders: Sequence[Path]) -> Page:
    """The page without its samples. Errors: those of `report`."""
    runs = runs_of(folders)
    facts, data = [read_facts(folder) for folder in folders], RunData.read(runs)
    return Page(
        title=" beside ".join(f"{each.run}, step {each.step}" for each in facts),
        about="; ".join(dict.fromkeys(run.recipe().about for run in runs)),
        tables=_tables(data),
        panels=page_panels(data.of_steps({each.step for each in facts})),
        origins=tuple(map(_origin, runs)),
        version=__version__,
    )


def _tables(data: RunData) -> tuple[Table, ...]:
    """Tables of all evaluations: likelihoods, then metrics; the latest step first."""
    likelihoods = sorted(data.likelihoods, key=lambda each: -each.step)
    metrics = sorted(
        data.metrics, key=lambda each: -(each.made.step if each.made else 0)
    )
    return (*map(likelihood_table, likelihoods), *map(metrics_table, metrics))


def likelihood_table(result: LikelihoodResult) -> Table:
    """Score of each model and baseline, mean ± standard error over clips."""
    unit = UNITS[result.unit]
    rows = [
        (row.model, f"{row.mean:.3f}", "" if row.error is None else f"{row.error:.3f}")
        for row in result.rows
    ]
    if result.lower_bound is not None:
        rows.append(("lower bound", f"{result.lower_bound:.3f}", ""))
    about = (
        f"{result.run}@{result.step}, split {result.split} of {result.dataset}, "
        f"{count(result.clips, 'clip')}, frames {result.prime} to "
        f"{result.frames - 1} scored; lower is better"
    )
    unusual = result.precision != "float32"
    return Table(
        f"Likelihood, {unit}",
        about,
        ("model", unit, "± s.e."),
        tuple(rows),
        (f"computed in {result.precision}",) if unusual else (),
    )


def metrics_table(result: MetricsResult) -> Table:
    """Mean ± spread of every metric, with its protocol and its warnings."""
    facts = result.made
    name = f"{facts.run}@{facts.step}, split {facts.split}" if facts else None
    return Table(
        "Samples against clips",
        f"{name or result.samples.name}; {count(result.samples.clips, 'sample')} "
        f"per trial against {count(result.reference.clips, 'clip')}",
        ("metric", "value", "±", "over"),
        tuple(
            (f"{each.metric}, {each.of}", each.value, each.spread, each.over)
            for each in metric_rows(result)
        ),
        protocol_notes(result),
        result.warnings,
    )


def _origin(run: RunFolder) -> Origin:
    """Command, recipe and environment; without run.json the recipe alone."""
    recipe = run.recipe_file.read_text(encoding="utf-8")
    facts = read_run(run) if run.run_file.is_file() else None
    command = shlex.join(facts.command) if facts else None
    return Origin(run.name, command, recipe, _environment(facts) if facts else {})


def _environment(facts: RunFacts) -> dict[str, str]:
    """Everything that the run was computed with."""
    overrides = {"overrides": " ".join(facts.overrides)} if facts.overrides else {}
    commit = {"svt's commit": facts.git_commit} if facts.git_commit else {}
    return {
        "recipe": f"{facts.recipe} ({facts.recipe_fingerprint[:12]})",
        **overrides,
        "seed": f"{facts.seed}",
        "devices": ", ".join(facts.devices),
        "clips": facts.data_fingerprint[:12],
        **commit,
        **facts.versions,
    }
