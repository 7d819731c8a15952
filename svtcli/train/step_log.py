"""What is said about the steps: rows of the log, the progress bar, the bad ones."""

import math
import time
from collections.abc import Callable, Sequence

import jax

from svtcli.failure import BadData
from svtcli.recipe.schema import UNITS, Train
from svtcli.run.metrics_log import Rows
from svtcli.run.progress import Progress
from svtcli.train.step import Metrics
from svtcli.train.throughput import Pace

MOST_BAD_STEPS = 10
"""Non-finite steps in a row before training is given up."""


class Watch:
    """Reads each step's metrics when the step after it has been sent off.

    `clips_of` names the clips of a step, numbered from 1.
    """

    def __init__(
        self,
        train: Train,
        score_name: str,
        clips_of: Callable[[int], Sequence[str]],
        log: Rows,
        progress: Progress,
        pace: Pace | None = None,
    ) -> None:
        self.train, self.score_name, self.clips_of = train, score_name, clips_of
        self.log, self.progress = log, progress
        self.score: float | None = None
        """Of the newest finite step."""
        self.pace = pace or Pace(train.batch)
        self._validation: float | None = None
        self._unread: tuple[int, Metrics] | None = None
        self._bad_in_a_row = 0

    def sent(self, step: int, metrics: Metrics) -> None:
        """Step number `step` (from 1) was sent off; read the one before it."""
        self.settle()
        self._unread = step, metrics

    def settle(self) -> None:
        """Read the metrics that are still unread; waits for the device.

        Errors: `BadData` after too many steps without a finite loss and gradient.
        """
        if self._unread is None:
            return
        (step, metrics), self._unread = self._unread, None
        metrics = jax.device_get(metrics)
        self.pace.step()
        if metrics.finite:
            self._bad_in_a_row, self.score = 0, float(metrics.score)
        else:
            self._bad_step(step, metrics)
        if step % self.train.log_every == 0:
            self._row(step, metrics)
        self.progress.advance(step, self._facts())

    def secure(self) -> None:
        """Have the rows of all steps on the disk: a checkpoint is to follow.

        Training goes on behind it, so a row that was lost would never be repeated.
        """
        self.settle()
        self.log.sync()

    def validated(self, step: int, score: float | None) -> None:
        """The held-out clips were scored after `step`; None if a signal cut it short.

        The progress line shows the newest score from now on.
        """
        if score is None:
            return
        self._validation = score
        name = f"validation_{self.score_name}"
        self.log.append(step, time=time.time(), **{name: score})
        self.progress.note(f"step {step}: validation {self._said(score)} {self._unit}")

    def _row(self, step: int, metrics: Metrics) -> None:
        self.log.append(
            step,
            time=time.time(),
            loss=float(metrics.loss),
            **{self.score_name: float(metrics.score)},
            learning_rate=float(metrics.learning_rate),
            grad_norm=float(metrics.grad_norm),
            **self.pace.read(),
        )

    def _facts(self) -> dict[str, str]:
        facts = {} if self.score is None else {self._unit: self._said(self.score)}
        if self._validation is not None:
            facts["validation"] = self._said(self._validation)
        return facts | self.pace.facts()

    @property
    def _unit(self) -> str:
        return UNITS[self.score_name]

    def _said(self, score: float) -> str:
        return f"{score:.{1 if self.score_name == 'nats_per_frame' else 3}f}"

    def _bad_step(self, step: int, metrics: Metrics) -> None:
        """Say which step and clips; give up after too many."""
        self._bad_in_a_row += 1
        what = "gradient" if math.isfinite(metrics.loss) else "loss"
        clips = sorted(set(self.clips_of(step)))
        named = ", ".join(clips[:5]) + (
            f" and {len(clips) - 5} more" * (len(clips) > 5)
        )
        if self._bad_in_a_row == MOST_BAD_STEPS:
            raise BadData(
                f"step {step}: the {what} is not finite for the {MOST_BAD_STEPS}th "
                f"time in a row; clips: {named}",
                "a lower train.learning_rate or train.clip_norm may help; the last "
                "checkpoint is finite",
            )
        self.progress.note(
            f"step {step}: the {what} is not finite; skipped; clips: {named}"
        )
