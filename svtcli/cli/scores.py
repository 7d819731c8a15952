"""How scores look in the terminal, for `svt eval` and `svt run`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from svtcli.cli import console

if TYPE_CHECKING:
    from svtcli.stages.evaluate import Evaluation

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


def score_data(evaluation: "Evaluation") -> dict[str, object]:
    """The same for --json."""
    return asdict(evaluation)
