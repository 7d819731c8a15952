"""What an evaluation is: its plan before, its file after, one for each split."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from svtcli.failure import BadData
from svtcli.recipe.schema import Eval
from svtcli.run.partial import PartialResult
from svtcli.train.held_out import HeldOutPlan, plan_held_out
from svtcli.train.load_network import Checkpoint

TRAINED = "trained"


@dataclass(frozen=True)
class Row:
    """One model's score."""

    model: str
    """`trained`, or the baseline's name."""
    mean: float
    error: float | None
    """Standard error of the mean over clips; None for a single clip."""
    per_frame: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """Scores and what they depend on; the contents of `eval/*.json`."""

    run: str
    step: int
    unit: str
    """`bits_per_dim` or `nats_per_frame`."""
    dataset: str
    """The name of the clips' folder."""
    split: str
    clips: int
    prime: int
    frames: int
    overlap: int
    rows: tuple[Row, ...]
    lower_bound: float | None
    """Deterministic loss: the least nats/frame that any model can reach here."""
    fingerprint: str
    precision: str = "float32"
    """Of the products of all of the rows' networks."""


class PartialScores(PartialResult):
    """NLL of the clips scored so far: `nll`, float64 [F] nats, in a group per model.

    Rows are clip numbers of the split; the NLL of prime frames is 0.
    """

    kind: ClassVar[str] = "scores"


@dataclass(frozen=True)
class EvalPlan(HeldOutPlan):
    """What a call of `evaluate` will score; making one checks all that it needs."""

    settings: Eval

    @property
    def out(self) -> Path:
        """The file of the result."""
        settled = f"{self.settings.split}-prime{self.prime}-{self.fingerprint[:6]}"
        return self.checkpoint.run.eval / f"{self.checkpoint.step}-{settled}.json"

    @property
    def models(self) -> tuple[str, ...]:
        """Which models score the clips, the trained one first."""
        return (TRAINED, *dict.fromkeys(self.settings.baselines))

    @property
    def partial(self) -> PartialScores:
        """Clips scored so far, while the evaluation is not complete."""
        return PartialScores(self.out, self.fingerprint)

    @property
    def finished(self) -> bool:
        """This very evaluation is on disk already."""
        if not self.out.is_file():
            return False
        return read_evaluation(self.out).fingerprint == self.fingerprint


def plan_evaluations(
    checkpoint: Checkpoint, settings: Eval, clips: Path | None = None
) -> tuple[EvalPlan, ...]:
    """`plan_evaluation` for every split that `settings` names; none if the likelihood
    is not among its metrics."""
    if "likelihood" not in settings.metrics:
        return ()
    splits = dict.fromkeys((settings.split, *settings.also))
    return tuple(
        plan_evaluation(checkpoint, replace(settings, split=split), clips)
        for split in splits
    )


def plan_evaluation(
    checkpoint: Checkpoint, settings: Eval, clips: Path | None = None
) -> EvalPlan:
    """Check settings and clips against the checkpoint; writes nothing.

    Of `settings.split` alone. Errors: Refused, as `plan_held_out`.
    """
    alone = replace(settings, also=())
    held_out = plan_held_out(checkpoint, alone, clips, settings.clips)
    return EvalPlan(**vars(held_out), settings=alone)


def read_evaluation(path: Path) -> Evaluation:
    """An evaluation that `evaluate` wrote. Errors: BadData."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(
            Row(**{**row, "per_frame": tuple(row["per_frame"])})
            for row in facts["rows"]
        )
        return Evaluation(**{**facts, "rows": rows})
    except (ValueError, KeyError, TypeError) as error:
        what = "not an evaluation of this version"
        raise BadData(f"{path}: {what} ({error})", "move it away") from error


def evaluation_text(evaluation: Evaluation) -> str:
    """What stands in its file."""
    return json.dumps(asdict(evaluation), indent=2) + "\n"
