"""Score a trained network on held-out clips, beside baselines on the same clips."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import jax.numpy as jnp

from svtcli.data.sources.bouncing import level_counts, lower_bound
from svtcli.evaluation.likelihood import Scorer
from svtcli.failure import BadData
from svtcli.model.loss import score_name
from svtcli.model.svt import create, for_products_in, structure, uniform_params
from svtcli.recipe.schema import Eval
from svtcli.run.progress import Progress
from svtcli.run.whole_file import write_whole
from svtcli.stages.held_out import (
    HeldOut,
    HeldOutPlan,
    full_batches,
    plan_held_out,
    read_held_out,
)
from svtcli.stages.interrupt import no_interrupt_lost
from svtcli.stages.scoring import score_clips
from svtcli.stages.trained import Checkpoint, load_network

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
    def finished(self) -> bool:
        """This very evaluation is on disk already."""
        if not self.out.is_file():
            return False
        return read_evaluation(self.out).fingerprint == self.fingerprint


def plan_evaluation(
    checkpoint: Checkpoint, settings: Eval, clips: Path | None = None
) -> EvalPlan:
    """Check settings and clips against the checkpoint; writes nothing.

    Errors: Refused, as `plan_held_out`.
    """
    held_out = plan_held_out(checkpoint, settings, clips, settings.clips)
    return EvalPlan(**vars(held_out), settings=settings)


def evaluate(plan: EvalPlan, progress: Progress) -> Evaluation:
    """Score the model and its baselines; the result also stands in the run's `eval/`.

    Errors: StorageFailed for a broken checkpoint, Refused for another model's.
    """
    if plan.finished:
        progress.note(f"{plan.out}: scored already")
        return read_evaluation(plan.out)
    held_out = read_held_out(plan)
    evaluation = Evaluation(
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        unit=score_name(plan.checkpoint.recipe.model),
        dataset=plan.clips.name,
        split=plan.settings.split,
        clips=len(held_out.video),
        prime=plan.prime,
        frames=plan.frames,
        overlap=plan.overlap,
        rows=_score_all(plan, held_out, progress),
        lower_bound=_lower_bound(plan, held_out),
        fingerprint=plan.fingerprint,
        precision=plan.settings.precision,
    )
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(plan.out, json.dumps(asdict(evaluation), indent=2) + "\n")
    return evaluation


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


def _score_all(
    plan: EvalPlan, held_out: HeldOut, progress: Progress
) -> tuple[Row, ...]:
    """The model's row, then its baselines'."""
    models = [TRAINED, *plan.settings.baselines]
    batches = len(full_batches(len(held_out.video), plan.settings.batch))
    progress.begin("score", len(models) * batches * plan.slices, "slices")
    done = 0

    def on_slice() -> None:
        nonlocal done
        done += 1
        progress.advance(done)
        raise_interrupt()

    rows, shape = [], (plan.prime, plan.overlap, plan.settings.batch)
    try:
        with no_interrupt_lost() as raise_interrupt:
            for model in models:
                begun = time.perf_counter()
                result = score_clips(_scorer(plan, model), held_out, *shape, on_slice)
                rows.append(Row(model, result.mean, result.error, result.per_frame))
                seconds = time.perf_counter() - begun
                progress.note(f"{model}: {result.mean:.3f} in {seconds:.1f} s")
    finally:
        progress.end()
    return tuple(rows)


def _scorer(plan: EvalPlan, model: str) -> Scorer:
    """The trained network or a baseline of the same structure."""
    recipe, precision = plan.checkpoint.recipe, plan.settings.precision
    config = recipe.model
    if model == TRAINED:
        network = load_network(plan.checkpoint, precision)
        return Scorer(config, network.graphdef, network.params)
    if model == "uniform":
        graphdef, params = structure(config)[0], uniform_params(config)
    else:
        graphdef, params = create(config, jax.random.key(recipe.train.seed))
    return Scorer(config, graphdef, for_products_in(params, jnp.dtype(precision)))


def _lower_bound(plan: EvalPlan, held_out: HeldOut) -> float | None:
    """The entropy of the very pixels that are scored (A.1); None for bits/dim."""
    if plan.checkpoint.recipe.model.loss != "deterministic":
        return None
    scored = held_out.video[:, plan.prime :]
    levels = tuple(level_counts(scored).tolist())
    return lower_bound(levels, scored.shape[0] * scored.shape[1])
