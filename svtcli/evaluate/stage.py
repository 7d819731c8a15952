"""Likelihood of held-out clips under a trained network and baselines (§4.1, A.1)."""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64, Int

from svtcli.clips.held_out import HeldOut, full_batches
from svtcli.evaluate.plan import LikelihoodPlan
from svtcli.evaluate.results import (
    TRAINED,
    LikelihoodResult,
    ModelScore,
    read_result,
    write_result,
)
from svtcli.model.heads import unit_of
from svtcli.model.likelihood import Scorer, score, uniform_score
from svtcli.model.parameters import for_products_in
from svtcli.model.svt import create
from svtcli.prepare.sources.moving_mnist import level_counts, lower_bound
from svtcli.recipe.resolve import Lengths
from svtcli.run.partial import ArrayTask, Steps, Unfinished
from svtcli.run.progress import Progress, counted
from svtcli.run.signals import NOTHING, StopSignals
from svtcli.train.backend import devices, key_of, start_jax
from svtcli.train.checkpoint import load_network
from svtcli.train.memory import less_for_batches, within_memory
from svtcli.train.mesh import Layout, side_by_side
from svtcli.train.validate import clip_nll

Clips = Int[np.ndarray, " n"]


def evaluate(plan: LikelihoodPlan, progress: Progress) -> LikelihoodResult:
    """Score the model and its baselines; the result is also written to `eval/`.

    An interrupted call resumes when it is repeated, with any batch size and devices.
    Errors: `Stopped` after a signal, with all scored clips kept; `Locked`;
    StorageFailed for a broken checkpoint, Refused for another model's; OutOfMemory.
    """
    return plan.partial.complete(_steps(plan, progress, None))


def evaluate_task(
    plan: LikelihoodPlan, progress: Progress, task: ArrayTask
) -> LikelihoodResult | Unfinished:
    """Score the clips of one task of a job array; the last task writes the result.

    Errors: those of `evaluate`; Refused while other scores are computed there.
    """
    result = plan.partial.complete_task(task, _steps(plan, progress, task))
    return result or plan.progress


def nll_in_memory(
    plan: LikelihoodPlan, held_out: HeldOut
) -> Float64[np.ndarray, "N F"]:
    """NLL in nats of each frame of clips in memory; 0 for prime frames.

    Nothing is written. Errors: StorageFailed for a broken checkpoint; OutOfMemory.
    """
    clips, settings = len(held_out.video), plan.settings
    lengths = Lengths(plan.prime, plan.frames, plan.overlap)
    with _within_memory(plan, clips):
        start_jax()
        layout = scoring_layout(plan, clips)
        scorer = _scorer(plan, TRAINED, layout)
        devices = layout.devices
        return clip_nll(scorer, held_out, lengths, settings.batch, devices=devices)


def scoring_layout(plan: LikelihoodPlan, clips: int) -> Layout:
    """Use all devices of this machine, but no more than clips in a batch."""
    at_once = max(1, min(plan.settings.batch, clips))
    return side_by_side(devices()[:at_once])


def _steps(
    plan: LikelihoodPlan, progress: Progress, task: ArrayTask | None
) -> Steps[LikelihoodResult]:
    """Functions that find, compute and publish the scores."""

    def found() -> LikelihoodResult | None:
        if not plan.finished:
            return None
        progress.note(f"{plan.out}: already scored")
        return read_result(plan.out, LikelihoodResult)

    def compute(stop: StopSignals) -> None:
        clips = np.array(plan.numbers)
        own = clips if task is None else clips[list(task.share(len(clips)))]
        if plan.clips.filtered:
            progress.note(plan.clips.filtered)
        with _within_memory(plan, len(own)):
            _score_missing(plan, own, progress, stop)

    def publish() -> LikelihoodResult | None:
        if result := _gather(plan):
            write_result(plan.out, result)
        return result

    return Steps(found, compute, publish)


def _within_memory(plan: LikelihoodPlan, clips: int) -> AbstractContextManager[None]:
    """Turn a full device into advice for scoring with less memory."""

    def advice() -> str:
        at_once, precision = plan.settings.batch, plan.settings.precision
        devices, kept = scoring_layout(plan, clips).devices, "the scored clips"
        return less_for_batches("eval", min(at_once, clips), devices, precision, kept)

    return within_memory("scoring", advice)


def _score_missing(
    plan: LikelihoodPlan, clips: Clips, progress: Progress, stop: StopSignals
) -> None:
    """Score those of `clips` that have no scores yet, and save batch after batch."""
    wanted = {
        model: np.intersect1d(clips, numbers)
        for model, numbers in plan.numbers_of.items()
    }
    missing = {
        model: np.setdiff1d(numbers, plan.partial.finished(model))
        for model, numbers in wanted.items()
    }
    owed = sum(map(len, missing.values()))
    of = {model: len(numbers) for model, numbers in wanted.items()}
    count = _Count(progress, stop, plan.slices, of, sum(of.values()) - owed)
    if count.before:
        progress.note(f"{count} were scored before")
    if not owed:
        return
    stop.saved = f"{count} are scored and kept" if count.before else NOTHING
    start_jax()
    layout = scoring_layout(plan, len(clips))
    progress.note("compiling the scorer")
    progress.begin("scoring likelihood", owed, "clips")
    try:
        for model, numbers in missing.items():
            if len(numbers):
                start = time.perf_counter()
                _score(plan, model, numbers, layout, len(clips), count)
                seconds = time.perf_counter() - start
                progress.note(
                    f"{model}: {counted(len(numbers), 'clip')} in {seconds:.1f} s"
                )
    finally:
        progress.end()


def _score(
    plan: LikelihoodPlan,
    model: str,
    numbers: Clips,
    layout: Layout,
    all_clips: int,
    count: "_Count",
) -> None:
    """Score clips by one model.

    Batches have the size that they would have for `all_clips`, so that a resumed call
    compiles nothing new; the padding of the last one is cut off.
    """
    scorer, size = _scorer(plan, model, layout), plan.settings.batch
    for rows in full_batches(len(numbers), size, layout.devices, rest_of=all_clips):
        own = numbers[rows][: len(numbers) - rows[0]]
        count.begin_batch(model, len(own))
        held_out = plan.read(tuple(numbers[rows].tolist()))
        nll = scorer.frame_nll(
            held_out.video,
            plan.prime,
            plan.overlap,
            held_out.actions,
            count.slice_done,
        )
        plan.partial.add(own, model, nll=nll[: len(own)])
        count.batch_saved()


def _scorer(plan: LikelihoodPlan, model: str, layout: Layout) -> Scorer:
    """Put the trained network, or an untrained one like it, on every device."""
    recipe, precision = plan.checkpoint.recipe, plan.settings.precision
    config = recipe.model
    if model == TRAINED:
        network = load_network(plan.checkpoint, precision)
        graphdef, params = network.graphdef, network.params
    else:
        graphdef, full = create(config, key_of(recipe.train.seed))
        params = for_products_in(graphdef, full, jnp.dtype(precision))
    everywhere = layout.whole_copy(params)
    return Scorer(config, graphdef, everywhere, layout.spread, layout.collected)


def _gather(plan: LikelihoodPlan) -> LikelihoodResult | None:
    """Summarise the scores of all clips; None while one is missing."""
    rows, config = [], plan.checkpoint.recipe.model
    for model in plan.models:
        fewer = None
        if numbers := plan.numbers_of.get(model):
            scores = plan.partial.gather(np.array(numbers), model)
            if scores is None:
                return None
            found = score(scores["nll"], plan.prime, config)
            fewer = len(numbers) if len(numbers) < len(plan.numbers) else None
        else:
            found = uniform_score(plan.frames, plan.prime, config)
        score_of = found.mean, found.error, found.per_frame
        rows.append(ModelScore(model, *score_of, fewer))
    return LikelihoodResult(
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        unit=unit_of(config).name,
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


def _lower_bound(plan: LikelihoodPlan) -> float | None:
    """Entropy of the scored pixels (A.1); None for bits/dim."""
    if plan.checkpoint.recipe.model.draws_codes:
        return None
    counts = np.zeros(256, int)
    for number in plan.numbers:
        counts += level_counts(plan.read((number,)).video[:, plan.prime :])
    frames = len(plan.numbers) * (plan.frames - plan.prime)
    return lower_bound(tuple(counts.tolist()), frames)


@dataclass
class _Count:
    """Progress in scored clips, counted once for every network; serves signals."""

    progress: Progress
    stop: StopSignals
    slices: int
    """Slices of a batch."""
    of: dict[str, int]
    """Number of clips to score by each network."""
    before: int
    """Clips scored by earlier calls."""
    done: int = 0

    def begin_batch(self, model: str, clips: int) -> None:
        """Begin to score a batch of `clips` by `model`."""
        self._model, self._in_batch, self._slices_done = model, clips, 0

    def slice_done(self) -> None:
        """Count a slice of the batch. Errors: `Stopped`."""
        self._slices_done += 1
        share = self._in_batch * self._slices_done // self.slices
        self.progress.advance(self.done + share, {"model": self._model})
        if self._slices_done < self.slices:  # after the last, the batch is saved first
            self.stop.check(f"{self} are scored and kept")

    def batch_saved(self) -> None:
        """Count a batch that is on the disk. Errors: `Stopped`."""
        self.done += self._in_batch
        self.stop.check(f"{self} are scored and kept")

    def __str__(self) -> str:
        each = ", ".join(f"{clips} by {model}" for model, clips in self.of.items())
        of = f"{self.before + self.done} of {sum(self.of.values())} clips"
        return f"{of} ({each})" if len(self.of) > 1 else of
