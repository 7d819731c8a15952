"""Runs on this machine: an overview, details of one, differences of two; no jax here.

A run folder that is damaged or incomplete is listed with its problem.
"""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from svtcli.failure import Failure, in_words
from svtcli.recipe.schema import UNITS
from svtcli.recipe.setting import dotted, walk_settings
from svtcli.run.directory import RunFacts, RunFolder, read_run
from svtcli.run.metrics_log import Goodput, Row, goodput, read_metrics, read_rows


@dataclass(frozen=True)
class Overview:
    """One line of `svt runs list`."""

    name: str
    recipe: str | None = None
    """Name of the recipe, and the start of its fingerprint."""
    step: int | None = None
    """Step of the newest checkpoint; None before the first."""
    steps: int | None = None
    """Steps of the recipe."""
    score_name: str | None = None
    last: float | None = None
    """Newest validation score."""
    best: float | None = None
    """Best validation score."""
    changed: float | None = None
    """Time of the last change, in seconds since 1970."""
    size: int = 0
    """Bytes of all files."""
    overrides: tuple[str, ...] = ()
    """Settings on the command line."""
    values: dict[str, Any] = field(default_factory=dict)
    """Values that were asked for."""
    problem: str | None = None
    """Reason why something could not be read."""


@dataclass(frozen=True)
class Details:
    """Everything known about one run."""

    overview: Overview
    facts: RunFacts | None
    settings: dict[str, Any]
    """Non-default settings of the recipe, by dotted key."""
    metrics: Row
    """Newest value of each metric."""
    goodput: Goodput | None
    checkpoints: tuple[int, ...]


def list_runs(root: Path) -> list[tuple[Overview, RunFolder]]:
    """Overview and folder of every run in `root`, the last changed first."""
    if not root.is_dir():
        return []
    folders = [
        RunFolder(path)
        for path in root.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    ]
    runs = [(overview(folder), folder) for folder in folders]
    return sorted(runs, key=lambda run: (-(run[0].changed or 0.0), run[0].name))


def overview(run: RunFolder) -> Overview:
    """Overview of a run; whatever is wrong with it becomes its `problem`."""
    size, changed = _size_and_change(run.path)
    known: dict[str, Any] = {"size": size, "changed": changed}
    try:
        known["step"] = max(run.steps(), default=None)
        known["steps"] = run.recipe().train.steps
        facts = read_run(run)
        known["recipe"] = f"{facts.recipe} {facts.recipe_fingerprint[:6]}"
        known["overrides"] = facts.overrides
        known |= _scores(read_metrics(run.metrics))
    except (Failure, OSError, ValueError) as error:
        known["problem"] = in_words(error).splitlines()[0]
    return Overview(run.name, **known)


def details(run: RunFolder) -> Details:
    """Details of a run. Errors: Failure where its recipe cannot be read."""
    settings = {
        key: value
        for key, value, default in walk_settings(run.unchecked_recipe())
        if value != default
    }
    line = overview(run)
    if line.problem is not None:
        return Details(line, None, settings, {}, None, run.steps())
    newest: dict[str, float] = {}
    for row in read_metrics(run.metrics):
        newest |= row
    spent = goodput(read_rows(run.metrics))
    return Details(line, read_run(run), settings, newest, spent, run.steps())


def differences(a: RunFolder, b: RunFolder) -> dict[str, tuple[Any, Any]]:
    """Recipe keys that differ, with both values; None where a recipe lacks the key.

    Errors: Failure where a recipe cannot be read.
    """
    one, other = (dotted(run.recipe()) for run in (a, b))
    return {
        key: (one.get(key), other.get(key))
        for key in one | other
        if one.get(key) != other.get(key)
    }


def _scores(rows: list[Row]) -> dict[str, Any]:
    """Last and best validation score."""
    for name in UNITS:
        key = f"validation_{name}"
        finite = [row[key] for row in rows if math.isfinite(row.get(key, math.nan))]
        if finite:
            return {"score_name": name, "last": finite[-1], "best": min(finite)}
    return {}


def folder_size(path: Path) -> int:
    """Bytes of all files in a folder."""
    return _size_and_change(path)[0]


def _size_and_change(path: Path) -> tuple[int, float | None]:
    """Bytes of all files, and time of the newest change; vanished files count 0."""
    size, newest = 0, None
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                facts = os.lstat(os.path.join(folder, name))  # noqa: PTH118 (fast)
            except OSError:
                continue
            size += facts.st_size
            newest = max(newest or 0.0, facts.st_mtime)
    return size, newest
