"""The training loop: its order is the point, so it is written to be read.

The device is kept busy: a step is sent off before the metrics of the one before it are
read, and batches and checkpoints have threads of their own.
"""

from collections.abc import Iterator
from typing import Any

import jax

from svtcli.clips.loader import Batch
from svtcli.recipe.schema import Train
from svtcli.run.signals import StopSignals
from svtcli.train.checkpoint import Checkpoints
from svtcli.train.profile import Profile
from svtcli.train.state import State
from svtcli.train.step import Update
from svtcli.train.step_log import Watch
from svtcli.train.validation_times import NO_VALIDATION, Validation


def train_until(
    until: int,
    state: State,
    update: Update,
    batches: Iterator[Batch],
    train: Train,
    watch: Watch,
    checkpoints: Checkpoints,
    stop: StopSignals,
    validation: Validation = NO_VALIDATION,
    profile: Profile | None = None,
) -> State:
    """Take steps until `until` of them are behind `state`; save what was reached.

    `batches` begins at the state's step, which is the position in the data. Errors:
    `Stopped` after a signal, with everything saved; `BadData` when the loss stays
    non-finite; `StorageFailed` when the disk is full.
    """
    step, stopping, scored = int(state["step"]), stop.requested(), True
    if step == validation.missed and not stopping:
        scored = _validate(step, state, validation, watch)
        stopping = stop.requested()
    while step < until and not stopping:
        # 1. The batch of this step; the next ones are read meanwhile.
        with watch.pace.waiting():
            batch = next(batches)
        # 2. Send the step off. `state` is given up to it, the new one is a promise.
        if profile is not None:
            profile.before_step(state)
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            state, metrics = update(state, model_inputs(batch))
        step += 1
        # 3. Read what the step before it said; waits for that one, not for this.
        watch.sent(step, metrics)
        # 4. Save what is due, in the background; hear of a save that failed.
        if _is_due(step, train.save_every) or _is_due(step, train.keep_every):
            watch.secure()
            checkpoints.save(state)
        checkpoints.poll()
        # 5. Score the held-out clips, while that save goes on.
        if validation.due(step):
            scored = _validate(step, state, validation, watch)
        # 6. Look for a signal once: asked twice, it could stop us and not save us.
        stopping = stop.requested()

    watch.secure()
    checkpoints.wait()
    if step > 0 and step != checkpoints.saved:
        checkpoints.save(state)
        checkpoints.wait()
    if step < until or not scored:
        saved = checkpoints.saved
        nothing = "nothing to save yet"
        raise stop.stopped(nothing if saved is None else f"step {saved} is saved")
    return state


def _validate(step: int, state: State, validation: Validation, watch: Watch) -> bool:
    """Score the held-out clips, and say how; False where a signal has cut it short."""
    watch.settle()
    with watch.pace.paused():
        score = validation.of(state)
    watch.validated(step, score)
    return score is not None


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def model_inputs(batch: Batch) -> dict[str, Any]:
    """What the model sees of a batch: the arguments of the loss beside parameters."""
    return {
        "video": batch.video,
        "slice_index": batch.slice_index,
        "actions": batch.actions,
    }
