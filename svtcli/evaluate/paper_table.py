"""The paper's table rebuilt: what runs have reached, beside what the paper says."""

from dataclasses import dataclass
from functools import cache
from itertools import filterfalse

from svtcli.evaluate.comparison import Comparison, is_comparison, read_comparison
from svtcli.evaluate.fvd.protocol import Spread
from svtcli.evaluate.likelihood_results import TRAINED, Evaluation, Row, read_evaluation
from svtcli.recipe.library import shipped_recipes
from svtcli.recipe.load import load_recipe
from svtcli.recipe.paper import PAPER, Published
from svtcli.recipe.schema import Recipe
from svtcli.train.load_network import Checkpoint


@dataclass(frozen=True)
class Line:
    """One split of one run: its newest numbers, and the paper's of the same model."""

    checkpoint: Checkpoint
    split: str
    scored: Evaluation | None
    """Its likelihood."""
    compared: Comparison | None
    """FVD of its samples."""
    paper: Published | None
    """Of the shipped recipe with this very model and kind of data."""

    @property
    def likelihood(self) -> Row | None:
        """The trained model's."""
        rows = self.scored.rows if self.scored else ()
        return next((row for row in rows if row.model == TRAINED), None)

    @property
    def fvd(self) -> Spread | None:
        """Of the first window."""
        fvd = self.compared and self.compared.fvd
        return fvd.distances.fvd if fvd else None

    @property
    def fvd_avg(self) -> Spread | None:
        """Of all windows; None where only the first one was looked at."""
        fvd = self.compared and self.compared.fvd
        return fvd.distances.fvd_avg if fvd and len(fvd.starts) > 1 else None


def paper_lines(checkpoint: Checkpoint) -> tuple[Line, ...]:
    """What is on disk of a checkpoint, a line for each split that was evaluated.

    Errors: BadData for a file in `eval/` that is no evaluation.
    """
    files = sorted(
        checkpoint.run.eval.glob(f"{checkpoint.step}-*.json"),
        key=lambda file: (file.stat().st_mtime_ns, file),
    )
    # The newest of a split comes last, and stays.
    scored = {
        evaluation.split: evaluation
        for evaluation in map(read_evaluation, filterfalse(is_comparison, files))
    }
    compared = {
        comparison.made.split: comparison
        for comparison in map(read_comparison, filter(is_comparison, files))
        if comparison.made is not None and comparison.fvd is not None
    }
    return tuple(
        Line(
            checkpoint,
            split,
            scored.get(split),
            compared.get(split),
            published(checkpoint.recipe, split),
        )
        for split in dict.fromkeys([*scored, *compared])
    )


def published(recipe: Recipe, split: str) -> Published | None:
    """What the paper says of this model on this kind of data; None if nothing."""
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
