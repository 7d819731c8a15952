"""How scores look in the terminal, for `svt eval` and `svt run`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from svtcli.cli import console

if TYPE_CHECKING:
    from svtcli.evaluate.likelihood_results import Evaluation

UNITS = {"bits_per_dim": "bits/dim", "nats_per_frame": "nats/frame"}
COLUMNS = ("run", "model", "score", "± s.e.", "unit", "split", "clips", "scored frames")


def score_table(evaluations: Sequence["Evaluation"]) -> str:
    """One line per model, with everything that its number depends on."""
    rows: list[tuple[object, ...]] = []
    for each in evaluations:
        facts = (
            UNITS[each.unit],
            each.split,
            each.clips,
            f"{each.prime + 1} to {each.frames}",
        )
        run = f"{each.run}@{each.step}"
        short = "" if each.precision == "float32" else f" ({each.precision})"
        for row in each.rows:
            error = "" if row.error is None else f"{row.error:.3f}"
            rows.append((run, f"{row.model}{short}", f"{row.mean:.3f}", error, *facts))
        if each.lower_bound is not None:
            rows.append((run, "lower bound", f"{each.lower_bound:.3f}", "", *facts))
    return console.table("", COLUMNS, rows)


def frame_table(evaluations: Sequence["Evaluation"]) -> str:
    """The score of each frame: frames down, counted from 1, and models across."""
    facts = [
        (f"{each.run}@{each.step}", each.split, each.precision, UNITS[each.unit])
        for each in evaluations
    ]
    differ = [len(set(values)) > 1 for values in zip(*facts, strict=True)]
    names, columns = [], []
    for each, values in zip(evaluations, facts, strict=True):
        # What all have in common stands in the table of the means.
        apart = [value for value, told in zip(values, differ, strict=True) if told]
        scored = range(each.prime + 1, each.frames + 1)
        for row in each.rows:
            names.append(" ".join([*apart, row.model]))
            columns.append(dict(zip(scored, row.per_frame, strict=True)))
    frames = sorted({frame for column in columns for frame in column})
    rows = [
        (n, *(f"{each[n]:.3f}" if n in each else "" for each in columns))
        for n in frames
    ]
    return console.table("", ("frame", *names), rows)


def score_data(evaluation: "Evaluation") -> dict[str, object]:
    """The same for --json."""
    return asdict(evaluation)
