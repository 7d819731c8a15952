"""What runs there are, what one is, and how two differ; needs no jax.

A folder that is broken or half made is told as such, and never in the way of others.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from svtcli.failure import Failure
from svtcli.recipe.schema import Recipe
from svtcli.run.directory import RunFolder
from svtcli.run.goodput import Goodput, goodput
from svtcli.run.manifest import RunFacts, read_run
from svtcli.run.metrics_log import Row, read_metrics, read_rows

SCORES = ("bits_per_dim", "nats_per_frame")


@dataclass(frozen=True)
class Overview:
    """One run in a line."""

    name: str
    recipe: str | None = None
    """The recipe's name, and the start of the fingerprint of all that it says."""
    step: int | None = None
    """The newest checkpoint's; None before the first."""
    steps: int | None = None
    """As many as the recipe wants."""
    score_name: str | None = None
    last: float | None = None
    """The newest score on held-out clips."""
    best: float | None = None
    """The best of them."""
    changed: float | None = None
    """When it was last written to, seconds since 1970."""
    size: int = 0
    """Bytes of all its files."""
    problem: str | None = None
    """Why it cannot be read; what is known is told all the same."""


@dataclass(frozen=True)
class Details:
    """All that is known of one run."""

    overview: Overview
    facts: RunFacts | None
    settings: dict[str, Any]
    """Keys of the recipe that are not at their default."""
    metrics: Row
    """The newest value of each name."""
    goodput: Goodput | None
    checkpoints: tuple[int, ...]


def list_runs(root: Path) -> list[Overview]:
    """Every folder in `root`, the last changed first; [] when there is no `root`."""
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if path.is_dir()]
    seen = [overview(RunFolder(p)) for p in folders if not p.name.startswith(".")]
    return sorted(seen, key=lambda run: (-(run.changed or 0.0), run.name))


def overview(run: RunFolder) -> Overview:
    """The run in a line; what is wrong with it stands in `problem`."""
    size, changed = _size_and_change(run.path)
    known: dict[str, Any] = {"size": size, "changed": changed}
    try:
        known["step"] = max(run.steps(), default=None)
        recipe = run.recipe()
        known["steps"] = recipe.train.steps
        facts = read_run(run)
        known["recipe"] = f"{facts.recipe} {facts.recipe_fingerprint[:6]}"
        known |= _scores(read_metrics(run.metrics))
    except (Failure, OSError, ValueError) as error:
        known["problem"] = _line(error)
    return Overview(run.name, **known)


def details(run: RunFolder) -> Details:
    """Everything about a run. Errors: Failure where its recipe cannot be read."""
    recipe, line = run.recipe(), overview(run)
    if line.problem is not None:
        return Details(line, None, from_defaults(recipe), {}, None, run.steps())
    rows: dict[str, float] = {}
    for row in read_metrics(run.metrics):
        rows |= row
    return Details(
        line,
        read_run(run),
        from_defaults(recipe),
        rows,
        goodput(read_rows(run.metrics)),
        run.steps(),
    )


def differences(a: RunFolder, b: RunFolder) -> dict[str, tuple[Any, Any]]:
    """Keys of the recipes that differ, with both values; a missing one is None.

    Errors: Failure where a recipe cannot be read.
    """
    one, other = flat(asdict(a.recipe())), flat(asdict(b.recipe()))
    return {
        key: (one.get(key), other.get(key))
        for key in [*one, *(key for key in other if key not in one)]
        if one.get(key) != other.get(key)
    }


def from_defaults(recipe: Recipe) -> dict[str, Any]:
    """The dotted keys that are not at their default, or have none."""
    return dict(_own("", recipe))


def flat(sections: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys with their values."""
    found: dict[str, Any] = {}
    for key, value in sections.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _own(prefix: str, section: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(section):
        value = getattr(section, field.name)
        if is_dataclass(value):
            yield from _own(f"{prefix}{field.name}.", value)
        elif field.default is MISSING or value != field.default:
            yield f"{prefix}{field.name}", value


def _scores(rows: list[Row]) -> dict[str, Any]:
    """The last and the best validation, of whichever score the run has."""
    for name in SCORES:
        values = [row[key] for row in rows if (key := f"validation_{name}") in row]
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            return {"score_name": name, "last": finite[-1], "best": min(finite)}
    return {}


def _size_and_change(path: Path) -> tuple[int, float | None]:
    """Bytes of all files, and when the newest was changed; what vanishes is nothing."""
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


def _line(error: Exception) -> str:
    """What is wrong, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
