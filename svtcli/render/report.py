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
    read_results,
)
from svtcli.recipe.schema import UNITS, Render
from svtcli.render.curves import evaluation_files, page_panels
from svtcli.render.groups import Group, runs_of
from svtcli.render.page import Origin, Page, Player, Table
from svtcli.run.directory import RunFolder
from svtcli.run.manifest import RunFacts, read_run
from svtcli.run.samples import read_facts


def report(
    folders: Sequence[Path],
    groups: tuple[Group, ...],
    facts: tuple[str, ...],
    times: tuple[int, ...],
    settings: Render,
) -> Page:
    """Everything on the page; `groups`, `facts` and `times` as in other pictures.

    Errors: BadData for a file of a run that is not what it should be.
    """
    return replace(
        report_of_runs(folders),
        facts=facts,
        player=Player(groups, times, settings.scale, settings.smooth, settings.fps),
    )


def report_of_runs(folders: Sequence[Path]) -> Page:
    """The page without its samples. Errors: those of `report`."""
    runs = runs_of(folders)
    facts = [read_facts(folder) for folder in folders]
    return Page(
        title=" beside ".join(f"{each.run}, step {each.step}" for each in facts),
        about="; ".join(dict.fromkeys(run.recipe().about for run in runs)),
        tables=_tables(runs),
        panels=page_panels(runs, {each.step for each in facts}),
        origins=tuple(map(_origin, runs)),
        version=__version__,
    )


def _tables(runs: Sequence[RunFolder]) -> tuple[Table, ...]:
    """All evaluations, the latest step's first: likelihoods, then comparisons."""
    files = [file for run in runs for file in evaluation_files(run)]
    scored, compared = read_results(files)
    scored.sort(key=lambda each: -each.step)
    compared.sort(key=lambda each: -(each.made.step if each.made else 0))
    return (*map(likelihood_table, scored), *map(comparison_table, compared))


def likelihood_table(scored: LikelihoodResult) -> Table:
    """Score of each model and baseline, mean ± standard error over clips."""
    unit = UNITS[scored.unit]
    rows = [
        (row.model, f"{row.mean:.3f}", "" if row.error is None else f"{row.error:.3f}")
        for row in scored.rows
    ]
    if scored.lower_bound is not None:
        rows.append(("lower bound", f"{scored.lower_bound:.3f}", ""))
    about = (
        f"{scored.run}@{scored.step}, split {scored.split} of {scored.dataset}, "
        f"{count(scored.clips, 'clip')}, frames {scored.prime} to "
        f"{scored.frames - 1} scored; lower is better"
    )
    unusual = scored.precision != "float32"
    return Table(
        f"Likelihood, {unit}",
        about,
        ("model", unit, "± s.e."),
        tuple(rows),
        (f"computed in {scored.precision}",) if unusual else (),
    )


def comparison_table(compared: MetricsResult) -> Table:
    """Mean ± spread of every metric, with its protocol and its warnings."""
    made = compared.made
    name = f"{made.run}@{made.step}, split {made.split}" if made else None
    return Table(
        "Samples against clips",
        f"{name or compared.samples.name}; {count(compared.samples.clips, 'sample')} "
        f"per trial against {count(compared.reference.clips, 'clip')}",
        ("metric", "value", "±", "over"),
        tuple(
            (f"{each.metric}, {each.of}", each.value, each.spread, each.over)
            for each in metric_rows(compared)
        ),
        protocol_notes(compared),
        compared.warnings,
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
