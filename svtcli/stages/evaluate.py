"""Score a trained network on held-out clips, beside baselines on the same clips."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jax
import numpy as np

from svtcli.data.clips import Clips
from svtcli.data.manifest import read_manifest
from svtcli.evaluation.likelihood import Score, Scorer, score
from svtcli.failure import Refused
from svtcli.model.loss import score_name
from svtcli.model.priming import slices_to_make
from svtcli.model.svt import create, structure, uniform_params
from svtcli.model.windows import windows
from svtcli.recipe.schema import Eval
from svtcli.run.fingerprint import fingerprint
from svtcli.run.progress import Progress
from svtcli.run.whole_file import write_whole
from svtcli.stages.prepare import clips_folder
from svtcli.stages.trained import (
    Checkpoint,
    HeldOut,
    load_network,
    open_fitting,
    read_held_out,
)

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
    split: str
    clips: int
    prime: int
    frames: int
    overlap: int
    rows: tuple[Row, ...]
    lower_bound: float | None
    """Moving MNIST: the least nats/frame that any model can reach on this split."""
    fingerprint: str


@dataclass(frozen=True)
class EvalPlan:
    """What a call of `evaluate` will score; making one checks all that it needs."""

    checkpoint: Checkpoint
    settings: Eval
    folder: Path
    clips: Clips
    prime: int
    frames: int
    overlap: int
    out: Path
    fingerprint: str

    @property
    def finished(self) -> bool:
        """This very evaluation is on disk already."""
        return self.out.is_file()

    @property
    def slices(self) -> int:
        """Slices that a batch is scored in."""
        config = self.checkpoint.recipe.model
        return sum(
            len(slices_to_make(config, window.given, window.stop))
            for window in windows(config, self.frames, self.prime, self.overlap)
        )


def plan_evaluation(
    checkpoint: Checkpoint, settings: Eval, clips: Path | None = None
) -> EvalPlan:
    """Check settings and clips against the checkpoint; writes nothing.

    Errors: Refused for clips that are missing or do not fit, or frames that cannot be
    laid out in windows.
    """
    recipe = checkpoint.recipe
    folder = clips or clips_folder(recipe.data, checkpoint.run.name)
    opened = open_fitting(folder, settings.split, recipe)
    prime = settings.prime or recipe.train.prime
    frames = settings.frames or recipe.model.video[0]
    overlap = settings.overlap or recipe.train.prime
    made_from = fingerprint(
        "evaluation",
        checkpoint.fingerprint,
        opened.fingerprint,
        replace(settings, prime=prime, frames=frames, overlap=overlap, batch=1),
    )
    out = checkpoint.run.eval / (
        f"{checkpoint.step}-{settings.split}-prime{prime}-{made_from[:6]}.json"
    )
    plan = EvalPlan(
        checkpoint, settings, folder, opened, prime, frames, overlap, out, made_from
    )
    try:
        _ = plan.slices
    except ValueError as error:
        raise Refused(str(error)) from error
    return plan


def evaluate(plan: EvalPlan, progress: Progress) -> Evaluation:
    """Score the model and its baselines; the result also stands in the run's `eval/`.

    Errors: a broken checkpoint; Refused when no clip is long enough.
    """
    if plan.finished:
        progress.note(f"{plan.out}: scored already")
        return read_evaluation(plan.out)
    held_out = read_held_out(plan.clips, plan.frames, plan.settings.clips)
    models = [TRAINED, *plan.settings.baselines]
    batches = -(-len(held_out.video) // plan.settings.batch)
    progress.begin("score", len(models) * batches * plan.slices, "slices")
    done = 0

    def on_slice() -> None:
        nonlocal done
        done += 1
        progress.advance(done)

    rows = []
    for model in models:
        begun = time.perf_counter()
        result = _score(plan, _scorer(plan, model), held_out, on_slice)
        rows.append(Row(model, result.mean, result.error, result.per_frame))
        seconds = time.perf_counter() - begun
        progress.note(f"{model}: {result.mean:.3f} in {seconds:.1f} s")
    progress.end()
    evaluation = Evaluation(
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        unit=score_name(plan.checkpoint.recipe.model),
        split=plan.settings.split,
        clips=len(held_out.video),
        prime=plan.prime,
        frames=plan.frames,
        overlap=plan.overlap,
        rows=tuple(rows),
        lower_bound=_lower_bound(plan),
        fingerprint=plan.fingerprint,
    )
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(plan.out, json.dumps(asdict(evaluation), indent=2) + "\n")
    return evaluation


def read_evaluation(path: Path) -> Evaluation:
    """An evaluation that `evaluate` wrote."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(
        Row(**{**row, "per_frame": tuple(row["per_frame"])}) for row in facts["rows"]
    )
    return Evaluation(**{**facts, "rows": rows})


def _scorer(plan: EvalPlan, model: str) -> Scorer:
    """The trained network or a baseline of the same structure."""
    recipe = plan.checkpoint.recipe
    config = recipe.model
    if model == "uniform":
        return Scorer(config, structure(config)[0], uniform_params(config))
    if model == "untrained":
        return Scorer(config, *create(config, jax.random.key(recipe.train.seed)))
    network = load_network(plan.checkpoint)
    return Scorer(config, network.graphdef, network.params)


def _score(
    plan: EvalPlan,
    scorer: Scorer,
    held_out: HeldOut,
    on_slice: Callable[[], None],
) -> Score:
    """The score over all clips, `settings.batch` at a time."""
    nats = [
        scorer.frame_nats(
            held_out.video[rows],
            plan.prime,
            plan.overlap,
            None if held_out.actions is None else held_out.actions[rows],
            on_slice,
        )
        for rows in held_out.batches(plan.settings.batch)
    ]
    return score(np.concatenate(nats), plan.prime, plan.checkpoint.recipe.model)


def _lower_bound(plan: EvalPlan) -> float | None:
    """The dataset's own bound, where it has one and it is for these frames."""
    bounds = read_manifest(plan.folder).lower_bound
    return bounds.get(plan.settings.split)
