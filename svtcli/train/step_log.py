"""Metrics of the steps: log, TensorBoard, progress bar, skipped steps."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from svtcli.failure import BadData
from svtcli.recipe.schema import UNITS, Train
from svtcli.run.metrics_log import Rows
from svtcli.run.progress import Progress
from svtcli.train.step import Metrics
from svtcli.train.throughput import Throughput

MAX_BAD_STEPS = 10
"""Non-finite steps in a row after which training is aborted."""


class StepLog:
    """Log of the training steps; reads a step's metrics after the next was dispatched.

    `clips_of` names the clips of a step, numbered from 1.
    """

    def __init__(
        self,
        train: Train,
        score_name: str,
        clips_of: Callable[[int], Sequence[str]],
        rows: Rows,
        progress: Progress,
        throughput: Throughput | None = None,
    ) -> None:
        self.train, self.score_name, self.clips_of = train, score_name, clips_of
        self.rows, self.progress = rows, progress
        self.score: float | None = None
        """Score of the newest finite step."""
        self.throughput = throughput or Throughput(train.batch)
        self._validation: float | None = None
        self._unread: tuple[int, Metrics] | None = None
        self._bad_in_a_row = 0

    def sent(self, step: int, metrics: Metrics) -> None:
        """Take the metrics of step `step` (from 1), just dispatched; read the previous.

        Errors: BadData, see `flush`.
        """
        self.flush()
        self._unread = step, metrics

    def flush(self) -> None:
        """Read the metrics that are still unread; waits for the device.

        Errors: BadData after too many non-finite steps in a row.
        """
        if self._unread is None:
            return
        (step, metrics), self._unread = self._unread, None
        metrics = jax.device_get(metrics)
        self.throughput.step()
        if metrics.finite:
            self._bad_in_a_row, self.score = 0, float(metrics.score)
        else:
            self._bad_step(step, metrics)
        if step % self.train.log_every == 0:
            self.rows.append(
                step,
                time=time.time(),
                loss=float(metrics.loss),
                **{self.score_name: float(metrics.score)},
                learning_rate=float(metrics.learning_rate),
                grad_norm=float(metrics.grad_norm),
                **self.throughput.read(),
            )
        self.progress.advance(step, self._facts())

    def sync(self) -> None:
        """Force the rows of all steps to the disk, before a checkpoint is saved.

        A resumed run starts after the checkpoint and would not repeat a lost row.
        """
        self.flush()
        self.rows.sync()

    def validated(self, step: int, score: float | None) -> None:
        """Log the validation score after `step`; None if a signal cut it short.

        The progress bar shows the newest score.
        """
        if score is None:
            return
        self._validation = score
        name = f"validation_{self.score_name}"
        self.rows.append(step, time=time.time(), **{name: score})
        unit = UNITS[self.score_name]
        self.progress.note(f"step {step}: validation {self._rounded(score)} {unit}")

    def _facts(self) -> dict[str, str]:
        scores = {UNITS[self.score_name]: self.score, "validation": self._validation}
        known = {k: self._rounded(v) for k, v in scores.items() if v is not None}
        return known | self.throughput.facts()

    def _rounded(self, score: float) -> str:
        return f"{score:.{1 if self.score_name == 'nats_per_frame' else 3}f}"

    def _bad_step(self, step: int, metrics: Metrics) -> None:
        """Report a skipped step and its clips; abort after too many."""
        self._bad_in_a_row += 1
        what = "gradient" if math.isfinite(metrics.loss) else "loss"
        clips = sorted(set(self.clips_of(step)))
        more = f" and {len(clips) - 5} more" if len(clips) > 5 else ""
        names = ", ".join(clips[:5]) + more
        if self._bad_in_a_row == MAX_BAD_STEPS:
            raise BadData(
                f"step {step}: the {what} is not finite for the {MAX_BAD_STEPS}th "
                f"time in a row; clips: {names}",
                "a lower train.learning_rate or train.clip_norm may help; the last "
                "checkpoint is finite",
            )
        self.progress.note(
            f"step {step}: the {what} is not finite; skipped; clips: {names}"
        )


class TensorBoard:
    """Copy of the metrics for TensorBoard (extra `tensorboard`), below `folder`.

    One file for each start of a run; a resumed run repeats steps, and TensorBoard is
    told to forget those in the previous file. Written in this thread, without
    tensorboardX's queue, which would hide a full disk and wait forever.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def append(self, step: int, **values: float | int) -> None:
        """Add the values of `step`, except those that are not finite."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        if self._writer is None:
            self._writer = self._opened(step)
        scalars = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in values.items()
            if math.isfinite(value) and name != "time"  # which each event has
        ]
        now, summary = time.time(), Summary(value=scalars)
        self._writer.write_event(Event(step=step, wall_time=now, summary=summary))
        self._writer.flush()

    def sync(self) -> None:
        """Do nothing: these are a copy of `metrics.jsonl`."""

    def _opened(self, step: int) -> Any:
        """Open a new file, for events from `step` on."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder.mkdir(parents=True, exist_ok=True)
        # The file's name has only seconds, and an existing file would be overwritten.
        count = len(list(self._folder.iterdir()))
        writer = EventsWriter(str(self._folder / "events"), f".{count}")
        start = SessionLog(status=SessionLog.START)
        writer.write_event(Event(step=step, wall_time=time.time(), session_log=start))
        return writer
