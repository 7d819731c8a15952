"""The training loop. Its order matters, so it is written to be read from top to bottom.

The device is kept busy: a step is dispatched before the metrics of the previous one are
read, and batches and checkpoints have threads of their own.
"""

from collections.abc import Iterator
from typing import Any

import jax

from svtcli.clips.loader import Batch
from svtcli.recipe.schema import Train
from svtcli.run.signals import NOTHING, StopSignals
from svtcli.train.checkpoint import Checkpoints
from svtcli.train.state import State
from svtcli.train.step import Update
from svtcli.train.step_log import Profile, StepLog
from svtcli.train.validate import Validation


def train_until(
    until: int,
    state: State,
    update: Update,
    batches: Iterator[Batch],
    train: Train,
    log: StepLog,
    checkpoints: Checkpoints,
    stop: StopSignals,
    validation: Validation,
    profile: Profile,
) -> State:
    """Train from the step of `state` to step `until`; save the state it ends with.

    `batches` begins at the state's step, which is the position in the data. Errors:
    Stopped after a signal, with everything saved; BadData when the loss stays
    non-finite; StorageFailed when the disk is full.
    """
    step, stopping, scored = int(state["step"]), stop.requested(), True
    if step == validation.missed and not stopping:
        scored = _validate(step, state, validation, log)
        stopping = stop.requested()
    while step < until and not stopping:
        # 1. Take the batch of this step; the next ones are read in the background.
        with log.throughput.waiting():
            batch = next(batches)
        # 2. Dispatch the step. It donates `state`; the new one is still being computed.
        profile.before_step(state)
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            state, metrics = update(state, model_inputs(batch))
        step += 1
        # 3. Read the metrics of the previous step; waits for that one, not for this.
        log.sent(step, metrics)
        # 4. Save, if due, in the background; raise the error of a failed save.
        if _is_due(step, train.save_every) or _is_due(step, train.keep_every):
            log.sync()
            checkpoints.save(state)
        checkpoints.poll()
        # 5. Score the held-out clips, if due, while that save continues.
        if validation.due(step):
            scored = _validate(step, state, validation, log)
        # 6. Poll for a signal once: polled twice, it could stop us without a save.
        stopping = stop.requested()

    log.sync()
    checkpoints.wait()
    if step > 0 and step != checkpoints.saved:
        checkpoints.save(state)
        checkpoints.wait()
    if step < until or not scored:
        saved = checkpoints.saved
        raise stop.stopped(NOTHING if saved is None else f"step {saved} is saved")
    return state


def _validate(step: int, state: State, validation: Validation, log: StepLog) -> bool:
    """Score the held-out clips and log the score; False if a signal cut it short."""
    log.flush()
    with log.throughput.paused():
        score = validation.of(state)
    log.validated(step, score)
    return score is not None


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def model_inputs(batch: Batch) -> dict[str, Any]:
    """Arguments of the loss that come from a batch."""
    return {
        "video": batch.video,
        "slice_index": batch.slice_index,
        "actions": batch.actions,
    }
