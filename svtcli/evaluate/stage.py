"""Score a trained network on held-out clips, beside baselines on the same clips."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from svtcli.clips.held_out import full_batches
from svtcli.evaluate.likelihood_results import (
    TRAINED,
    EvalPlan,
    Evaluation,
    Row,
    evaluation_text,
    read_evaluation,
)
from svtcli.evaluate.progress import ScoringCount
from svtcli.model.likelihood import Scorer, score
from svtcli.model.loss import score_name
from svtcli.model.svt import create, for_products_in, structure, uniform_params
from svtcli.prepare.sources.moving_mnist import level_counts, lower_bound
from svtcli.run.durable import write_atomic
from svtcli.run.job_array import ArrayTask
from svtcli.run.partial import Unfinished
from svtcli.run.progress import Progress
from svtcli.run.signals import StopSignals
from svtcli.train.compilation_cache import use_compilation_cache
from svtcli.train.load_network import load_network
from svtcli.train.memory_advice import less_for_batches, within_memory
from svtcli.train.mesh import Layout, side_by_side


def evaluate(plan: EvalPlan, progress: Progress) -> Evaluation:
    """Score the model and its baselines; the result also stands in the run's `eval/`.

    An interrupted call resumes when it is repeated, with any batch size and devices.
    Errors: `Stopped` after SIGTERM or Ctrl-C, with all scored clips kept; `Locked`;
    StorageFailed for a broken checkpoint, Refused for another model's; OutOfMemory.
    """
    return plan.partial.complete(None, *_steps(plan, progress, None))


def evaluate_task(
    plan: EvalPlan, progress: Progress, task: ArrayTask
) -> Evaluation | Unfinished:
    """Score the clips of one task of a job array; the last task writes the result.

    Errors: those of `evaluate`; Refused while other scores are computed there.
    """
    done = plan.partial.complete(task, *_steps(plan, progress, task))
    return done or unfinished(plan)


def _steps(
    plan: EvalPlan, progress: Progress, task: ArrayTask | None
) -> tuple[
    Callable[[], Evaluation | None],
    Callable[[StopSignals], None],
    Callable[[], Evaluation | None],
]:
    """Functions that find, compute and publish the scores."""

    def found() -> Evaluation | None:
        if not plan.finished:
            return None
        progress.note(f"{plan.out}: scored already")
        return read_evaluation(plan.out)

    def compute(stop: StopSignals) -> None:
        clips = np.array(plan.numbers)
        own = clips if task is None else clips[list(task.share(len(clips)))]
        with _within_memory(plan, len(own)):
            _score_missing(plan, own, progress, stop)

    def publish() -> Evaluation | None:
        if evaluation := _gathered(plan):
            write_atomic(plan.out, evaluation_text(evaluation))
        return evaluation

    return found, compute, publish


def _within_memory(plan: EvalPlan, clips: int) -> AbstractContextManager[None]:
    """What scores so many `clips`, of this call, says what needs less."""

    def needs_less() -> str:
        at_once, precision = plan.settings.batch, plan.settings.precision
        devices, kept = scoring_layout(plan, clips).devices, "the scored clips"
        return less_for_batches("eval", min(at_once, clips), devices, precision, kept)

    return within_memory("scoring", needs_less)


def unfinished(plan: EvalPlan) -> Unfinished:
    """Number of clips scored so far; a clip counts once for every model."""
    done = sum(len(plan.partial.finished(model)) for model in plan.models)
    return Unfinished(plan.out, done, len(plan.models) * len(plan.numbers))


def scoring_layout(plan: EvalPlan, clips: int) -> Layout:
    """All devices of this machine, but no more than clips are scored at once."""
    at_once = max(1, min(plan.settings.batch, clips))
    return side_by_side(jax.local_devices()[:at_once])


def _score_missing(
    plan: EvalPlan,
    clips: Int[np.ndarray, " n"],
    progress: Progress,
    stop: StopSignals,
) -> None:
    """Score those of these `clips` that are not; keep batch after batch."""
    partial = plan.partial
    missing = {
        model: np.setdiff1d(clips, partial.finished(model)) for model in plan.models
    }
    owed = sum(map(len, missing.values()))
    count = ScoringCount(progress, stop, plan.slices, len(missing), len(clips), owed)
    if not owed:
        return
    use_compilation_cache()
    layout, size = scoring_layout(plan, len(clips)), plan.settings.batch
    progress.note("compiling the scorer (the first clips wait for it)")
    progress.begin("score", owed, "clips")
    try:
        for model, numbers in missing.items():
            if not len(numbers):
                continue
            begun, scorer = time.perf_counter(), _scorer(plan, model, layout)
            # What fills up the last batch is cut off. All are of the size that they
            # would have for all clips, so what is missing needs no program of its own.
            for rows in full_batches(
                len(numbers), size, layout.devices, rest_of=len(clips)
            ):
                own = numbers[rows][: len(numbers) - rows[0]]
                count.begin_batch(model, len(own))
                held_out = plan.read(tuple(numbers[rows].tolist()))
                nats = scorer.frame_nats(
                    held_out.video,
                    plan.prime,
                    plan.overlap,
                    held_out.actions,
                    count.slice_done,
                )
                partial.add(own, model, nll=nats[: len(own)])
                count.batch_kept()
            seconds = time.perf_counter() - begun
            progress.note(f"{model}: {len(numbers)} clips in {seconds:.1f} s")
    finally:
        progress.end()


def _scorer(plan: EvalPlan, model: str, layout: Layout) -> Scorer:
    """The trained network or a baseline of the same structure, on every device."""
    recipe, precision = plan.checkpoint.recipe, plan.settings.precision
    config = recipe.model
    if model == TRAINED:
        network = load_network(plan.checkpoint, precision)
        graphdef, params = network.graphdef, network.params
    else:
        graphdef, whole = (
            (structure(config)[0], uniform_params(config))
            if model == "uniform"
            else create(config, jax.random.key(recipe.train.seed))
        )
        params = for_products_in(whole, jnp.dtype(precision))
    everywhere = layout.whole_copy(params)
    return Scorer(config, graphdef, everywhere, layout.spread, layout.collected)


def _gathered(plan: EvalPlan) -> Evaluation | None:
    """The evaluation that the kept clips amount to; None while one is missing."""
    rows = []
    for model in plan.models:
        scores = plan.partial.gather(np.array(plan.numbers), model)
        if scores is None:
            return None
        result = score(scores["nll"], plan.prime, plan.checkpoint.recipe.model)
        rows.append(Row(model, result.mean, result.error, result.per_frame))
    return Evaluation(
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        unit=score_name(plan.checkpoint.recipe.model),
        dataset=plan.clips.name,
        split=plan.settings.split,
        clips=len(plan.numbers),
        prime=plan.prime,
        frames=plan.frames,
        overlap=plan.overlap,
        rows=tuple(rows),
        lower_bound=_lower_bound(plan),
        fingerprint=plan.fingerprint,
        precision=plan.settings.precision,
    )


def _lower_bound(plan: EvalPlan) -> float | None:
    """The entropy of the very pixels that are scored (A.1); None for bits/dim."""
    if plan.checkpoint.recipe.model.loss != "deterministic":
        return None
    counts = np.zeros(256, int)
    for number in plan.numbers:
        counts += level_counts(plan.read((number,)).video[:, plan.prime :])
    frames = len(plan.numbers) * (plan.frames - plan.prime)
    return lower_bound(tuple(counts.tolist()), frames)
