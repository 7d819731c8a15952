"""Scores of runs by name, from the small files of a run.

A score is called `SPLIT.NAME`: `test.bits_per_dim`, `val.fvd`, `test.psnr`; of a log,
`validation.bits_per_dim` and `training.bits_per_dim`. They are read from recipe.yaml,
run.json, metrics.jsonl and eval/, or from copies of these.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from svtcli.evaluate.metrics import DISTANCES, METRICS
from svtcli.evaluate.results import LikelihoodResult, MetricsResult, read_results
from svtcli.recipe.load import flow
from svtcli.recipe.schema import UNITS, Recipe
from svtcli.recipe.setting import dotted, influential
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics

Scores = dict[str, float]
"""Name of a score → its value."""
SEED, CLIPS = "train.seed", "data.clips"
SAMPLED = ("temperature", "top_k", "top_p", "precision", "prime", "overlap", "seed")
"""Settings of samples of which a run may have several."""


@dataclass(frozen=True)
class Scored:
    """Scores of one run under one set of settings."""

    run: str
    recipe: Recipe
    settings: dict[str, str]
    """Settings in which the table's rows differ, but the seed."""
    scores: Scores


def result_scores(
    likelihoods: Iterable[LikelihoodResult], metrics: Iterable[MetricsResult]
) -> Scores:
    """Scores in results of one run; of the same name, the last counts."""
    found = {f"{each.split}.{each.unit}": each.trained.mean for each in likelihoods}
    for result in metrics:
        split = result.made.split if result.made else result.reference.name
        for name in result.settings.metrics:
            if name in DISTANCES and result.fvd:
                if spread := DISTANCES[name].select(result.fvd.distances):
                    found[f"{split}.{name}"] = spread.mean
            elif name in result.quality:
                found[f"{split}.{name}"] = result.quality[name].mean_of_k
    return found


def log_scores(run: RunFolder) -> Scores:
    """Last finite score on held-out clips and of a training batch, as logged."""
    found: Scores = {}
    for row in read_metrics(run.metrics):
        for unit in UNITS:
            for key, name in ((f"validation_{unit}", "validation"), (unit, "training")):
                if isfinite(row.get(key, float("nan"))):
                    found[f"{name}.{unit}"] = row[key]
    return found


def run_scores(run: RunFolder) -> Scores:
    """All scores of a run, of its newest scored step. Errors: BadData."""
    return log_scores(run) | result_scores(*step_results(run))


def step_results(
    run: RunFolder, step: int | None = None
) -> tuple[list[LikelihoodResult], list[MetricsResult]]:
    """Results of `step`, or of the newest scored one. Errors: BadData.

    The last result of a split counts, so the one of most clips is last.
    """
    likelihoods, metrics = read_results(sorted(run.eval.glob("*.json")))
    own = [(each, each.made.step) for each in metrics if each.made is not None]
    steps = {each.step for each in likelihoods} | {of for _, of in own}
    last = max(steps, default=0) if step is None else step
    return (
        sorted(
            (each for each in likelihoods if each.step == last),
            key=lambda each: each.clips,
        ),
        sorted(
            (each for each, of in own if of == last),
            key=lambda each: each.samples.clips * each.trials,
        ),
    )


def scored(runs: Sequence[RunFolder]) -> list[Scored]:
    """Scores of runs, with the settings of training and samples in which they differ.

    A run with samples of several settings appears once for each. Settings that go
    together share a heading. Errors: Failure for a run that cannot be read.
    """
    recipes = [run.recipe() for run in runs]
    keys = differing(recipes)
    found = []
    for run, recipe in zip(runs, recipes, strict=True):
        values = dotted(recipe)
        settings = {key: text(values.get(key)) for key in keys if key != SEED}
        likelihoods, metrics = step_results(run)
        for sampled, some in _by_sampling(metrics):
            scores = log_scores(run) | result_scores(likelihoods, some)
            found.append(Scored(run.name, recipe, settings | sampled, scores))
    columns: dict[tuple[str, ...], str] = {}
    for name in dict.fromkeys(name for each in found for name in each.settings):
        cells = tuple(each.settings.get(name, "-") for each in found)
        if name in keys or len(set(cells)) > 1:
            columns[cells] = ", ".join(filter(None, [columns.get(cells), name]))
    lines = zip(*columns, strict=True) if columns else [()] * len(found)
    return [
        replace(each, settings=dict(zip(columns.values(), line, strict=True)))
        for each, line in zip(found, lines, strict=True)
    ]


def lower_is_better(name: str) -> bool:
    """Return True for a likelihood (in bits or nats) or a distance."""
    metric = name.rpartition(".")[2]
    known = {str(name): each.higher_is_better for name, each in METRICS.items()}
    return not known.get(metric, False)


def differing(recipes: Sequence[Recipe]) -> list[str]:
    """Dotted keys in which trainings differ, but the folder of their clips."""
    trainings = [
        {
            f"{section}.{key}": value
            for section in ("data", "model", "train")
            for key, value in influential(getattr(recipe, section)).items()
        }
        for recipe in recipes
    ]
    return [
        key
        for key in dict.fromkeys(key for each in trainings for key in each)
        if key != CLIPS and len({repr(each.get(key)) for each in trainings}) > 1
    ]


def text(value: Any) -> str:
    """Value of a setting in a table: `3e-5`, `adam`, `[[1, 8, 8]]`."""
    if isinstance(value, float):
        return re.sub(r"e([-+])0", r"e\1", f"{value:g}")
    return "none" if value is None else flow(value)


def _by_sampling(
    metrics: Sequence[MetricsResult],
) -> list[tuple[dict[str, str], list[MetricsResult]]]:
    """Results by the settings of their samples."""
    groups: dict[tuple[str, ...], list[MetricsResult]] = {}
    for each in metrics:
        facts = tuple(text(getattr(each.made, name)) for name in SAMPLED)
        groups.setdefault(facts, []).append(each)
    names = [f"sample.{name}" for name in SAMPLED]
    found = [(dict(zip(names, each, strict=True)), groups[each]) for each in groups]
    return found or [({}, [])]
