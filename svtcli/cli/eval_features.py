"""`svt eval --features`: metrics of features that other software computed."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from svtcli.cli import console
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.recipe.schema import Metric


def score_features(
    samples: Path | None,
    reference: Path | None,
    names: tuple[str, ...],
    out: Path | None,
    dry_run: bool,
) -> None:
    """Compare two files of features by the named metrics (default: the Fréchet one)."""
    if samples is None or reference is None:
        missing = "--reference-features" if reference is None else "--features"
        raise Refused(f"{missing}: features of both sides are compared", "name both")
    if out is not None and out.exists():
        raise Refused(f"{out}: already exists", "choose another")
    from svtcli.evaluate.given_features import (
        check_features,
        measure_features,
        read_features,
    )

    metrics = cast("tuple[Metric, ...]", names or ("fvd",))
    sides = read_features(samples), read_features(reference)
    if dry_run:
        check_features(*sides, metrics)
        text = f"would compare {samples} with {reference} by {', '.join(metrics)}"
        console.show(text, {"features": [str(samples)], "dry_run": True})
        return
    result = measure_features(*sides, metrics, out)
    for warning in result.warnings:
        console.note(f"note: {warning}")
    clips, features = sides[0].values.shape
    table = console.table(("metric", "value"), result.rows())
    text = (
        f"{table}\n\n{samples}: {clips} samples of {features} features, compared with "
        f"{len(sides[1].values)} clips of {reference}\n  the Fréchet distance is means "
        f"{result.means:.5g} + covariances {result.covariances:.5g}"
    )
    console.show(text, {"features": [result.data], "dry_run": False})
    if out is not None:
        console.note(f"written to {out}")
