"""Results of runs beside the paper's tables."""

from dataclasses import dataclass
from functools import cache

from svtcli.evaluate.fvd.protocol import Spread
from svtcli.evaluate.published import PAPER, Published
from svtcli.evaluate.results import (
    LikelihoodResult,
    MetricsResult,
    ModelScore,
    read_results,
)
from svtcli.recipe.load import load_recipe, shipped_recipes
from svtcli.recipe.schema import Recipe
from svtcli.train.commit_record import Checkpoint


@dataclass(frozen=True)
class Line:
    """Newest results of one split of a run, and the paper's of the same model."""

    checkpoint: Checkpoint
    split: str
    scored: LikelihoodResult | None
    metrics: MetricsResult | None
    paper: Published | None
    """Row of the shipped recipe with this very model and kind of data."""

    @property
    def likelihood(self) -> ModelScore | None:
        """Score of the trained model."""
        return self.scored.trained if self.scored else None

    @property
    def fvd(self) -> Spread | None:
        """FVD of the first window."""
        fvd = self.metrics and self.metrics.fvd
        return fvd.distances.fvd if fvd else None

    @property
    def fvd_avg(self) -> Spread | None:
        """FVD averaged over windows; None if only the first was measured."""
        fvd = self.metrics and self.metrics.fvd
        return fvd.distances.fvd_avg if fvd and len(fvd.starts) > 1 else None


def paper_lines(checkpoint: Checkpoint) -> tuple[Line, ...]:
    """Read all results of a checkpoint: a line for each split.

    Errors: BadData for a file in `eval/` that is no result.
    """
    files = sorted(
        checkpoint.run.eval.glob(f"{checkpoint.step}-*.json"),
        key=lambda file: (file.stat().st_mtime_ns, file),
    )
    likelihoods, metrics = read_results(files)
    # Later files replace earlier ones of the same split.
    scored = {result.split: result for result in likelihoods}
    with_fvd = {
        result.made.split: result
        for result in metrics
        if result.made is not None and result.fvd is not None
    }
    return tuple(
        Line(
            checkpoint,
            split,
            scored.get(split),
            with_fvd.get(split),
            published(checkpoint.recipe, split),
        )
        for split in dict.fromkeys([*scored, *with_fvd])
    )


def published(recipe: Recipe, split: str) -> Published | None:
    """Find the paper's row of this model and kind of data; None if there is none."""
    for name, rows in PAPER.items():
        shipped = _shipped(name)
        if (shipped.model, shipped.data.kind) == (recipe.model, recipe.data.kind):
            for row in rows:
                if row.split == split:
                    return row
    return None


@cache
def _shipped(name: str) -> Recipe:
    return load_recipe(str(shipped_recipes()[name])).recipe
