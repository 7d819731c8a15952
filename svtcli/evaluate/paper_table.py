"""Results of runs beside the paper's (Tables 1 and 2, A.2), by the recipe of each.

The paper's FVD and its average over all windows are means over 20 trials of 256 videos,
± their standard deviation, at temperature 0.9; of BAIR after 1 frame, of Kinetics after
5. bits/dim are after 1 frame, of robot pushing after 2; nats/frame after 10.
"""

from dataclasses import dataclass
from functools import cache

from svtcli.evaluate.fvd.protocol import Spread
from svtcli.evaluate.results import (
    LikelihoodResult,
    MetricsResult,
    ModelScore,
    read_results,
)
from svtcli.recipe.load import load_recipe, shipped_recipes
from svtcli.recipe.schema import Recipe
from svtcli.train.commit_record import Checkpoint

PaperSpread = tuple[float, float | None]
"""A mean and its standard deviation, None where none is given."""


@dataclass(frozen=True)
class PaperResult:
    """A row of a table of the paper."""

    table: str
    likelihood: float | None
    """bits/dim, or nats/frame of Moving MNIST."""
    split: str = "test"
    fvd: PaperSpread | None = None
    fvd_avg: PaperSpread | None = None

    @property
    def protocol(self) -> str:
        """Protocol of the measurement, as the paper states it."""
        return f"{self.table}: {_PROTOCOLS[self.table]}"


_BAIR, _KINETICS, _DIGITS, _ROBOTS = "Table 1a", "Table 1b", "Table 2", "A.2"

_PROTOCOLS = {
    _BAIR: "256 clips, frames 1-15; FVD: 20 trials, prime 1, T 16, temperature 0.9",
    _KINETICS: "frames 1-15; FVD: 20 trials, prime 5, T 16, temperature 0.9",
    _DIGITS: "10,000 clips, frames 10-19",
    "Table 3": "256 validation clips, frames 1-15",
    _ROBOTS: "frames 2-19",
}

_TABLE_3 = {
    "base": 1.55,
    "l4": 1.63,
    "l16": 1.48,
    "l24": 1.45,
    "na4": 1.59,
    "na16": 1.51,
    "na24": 1.47,
    "d256": 1.65,
    "d1024": 1.47,
    "d2048": 1.40,
}
"""bits/dim of the variants of `bair_ablations`."""

PAPER: dict[str, tuple[PaperResult, ...]] = {
    "bair_single_frame": (
        PaperResult(_BAIR, 1.49, fvd=(104.0, 4.0), fvd_avg=(99.0, 2.0)),
    ),
    "bair_spatial": (PaperResult(_BAIR, 1.57, fvd=(111.0, 4.0), fvd_avg=(108.0, 1.0)),),
    "bair_spatiotemporal": (
        PaperResult(_BAIR, 1.53, fvd=(106.0, 3.0), fvd_avg=(106.0, 2.0)),
    ),
    "bair_large": (PaperResult(_BAIR, 1.35, fvd=(94.0, 2.0), fvd_avg=(96.0, 2.0)),),
    **{
        f"bair_ablations {variant}": (PaperResult("Table 3", score, split="val"),)
        for variant, score in _TABLE_3.items()
    },
    "kinetics_single_frame": (
        PaperResult(_KINETICS, 1.40, fvd=(243.0, 6.0), fvd_avg=(413.0, 11.0)),
    ),
    "kinetics_spatial": (
        PaperResult(_KINETICS, 1.47, fvd=(263.0, 6.0), fvd_avg=(450.0, 15.0)),
    ),
    "kinetics_spatiotemporal": (
        PaperResult(_KINETICS, 1.49, fvd=(195.0, 7.0), fvd_avg=(375.0, 11.0)),
    ),
    "kinetics_single_frame_large": (
        PaperResult(_KINETICS, 1.14, fvd=(207.0, 8.0), fvd_avg=(353.0, 13.0)),
    ),
    "kinetics_large": (
        PaperResult(_KINETICS, 1.19, fvd=(170.0, 5.0), fvd_avg=(316.0, 12.0)),
    ),
    "moving_mnist_single_frame": (PaperResult(_DIGITS, 86.2),),
    "moving_mnist_spatial": (PaperResult(_DIGITS, 91.8),),
    "moving_mnist_spatiotemporal": (PaperResult(_DIGITS, 90.0),),
    "robot_push_large": (
        PaperResult(_ROBOTS, 0.51, split="test-seen"),
        PaperResult(_ROBOTS, 0.47, split="test-novel"),
    ),
}

OTHERS: dict[str, dict[str, PaperResult]] = {
    "bair": {
        "SV2P": PaperResult(_BAIR, None, fvd=(263.0, None)),
        "SAVP": PaperResult(_BAIR, None, fvd=(116.0, None)),
        "VideoFlow": PaperResult(_BAIR, 1.87),
    },
    "moving-mnist": {"VPN": PaperResult(_DIGITS, 87.6)},
}
"""Results of others in the paper's tables, by kind of data; not strictly comparable."""


@dataclass(frozen=True)
class Line:
    """Newest results of one split of a run, and the paper's of the same model."""

    checkpoint: Checkpoint
    split: str
    scored: LikelihoodResult | None
    metrics: MetricsResult | None
    paper: PaperResult | None
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
        checkpoint.results.eval.glob(f"{checkpoint.step}-*.json"),
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


def published(recipe: Recipe, split: str) -> PaperResult | None:
    """Find the paper's row of this model and kind of data; None if there is none."""
    for name, rows in PAPER.items():
        if not name.startswith(recipe.data.kind.replace("-", "_")):
            continue  # loading one takes its time
        shipped = _shipped(name)
        if (shipped.model, shipped.data.kind) == (recipe.model, recipe.data.kind):
            for row in rows:
                if row.split == split:
                    return row
    return None


@cache
def _shipped(name: str) -> Recipe:
    name, _, variant = name.partition(" ")
    return load_recipe(str(shipped_recipes()[name]), variant=variant or None).recipe
