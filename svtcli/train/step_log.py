"""Metrics of the steps: log, progress bar, skipped steps; their speed.

The speed is throughput, utilization of the chips (MFU), and traces of the profiler.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax

from svtcli.failure import BadData
from svtcli.model.flops import training_flops
from svtcli.recipe.model import Model
from svtcli.recipe.schema import UNITS, Train
from svtcli.run.metrics_log import Rows
from svtcli.run.progress import Progress, counted
from svtcli.train.chips import total_peak_flops
from svtcli.train.plan import UNTRACED_STEPS
from svtcli.train.state import State
from svtcli.train.step import Metrics

MAX_BAD_STEPS = 10
"""Non-finite steps in a row after which training is aborted."""


class Throughput:
    """Counter of steps and seconds since the last reading; one instance a run."""

    def __init__(
        self,
        batch: int,
        flops: float | None = None,
        peak: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`flops` of a step of `batch` slices; `peak` FLOP/s of all devices together,
        None if unknown."""
        self.batch, self.flops, self.peak, self._clock = batch, flops, peak, clock
        self.newest: dict[str, float] = {}
        """The last reading."""
        self._restart()

    def step(self) -> None:
        """Count one more step."""
        self._steps += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for a batch."""
        begun = self._clock()
        yield
        self._waited += self._clock() - begun

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude the time inside: it is not training."""
        begun = self._clock()
        yield
        self._from += self._clock() - begun

    def read(self) -> dict[str, float]:
        """Values for a row of the log since the last reading; restarts the counter."""
        seconds = self._clock() - self._from
        rate = self._steps / seconds
        self.newest = {
            "steps_per_second": rate,
            "slices_per_second": rate * self.batch,
            "input_wait": min(1.0, self._waited / seconds),
        }
        if self.flops is not None:
            self.newest["model_flops_per_second"] = rate * self.flops
            if self.peak is not None:
                self.newest["mfu"] = rate * self.flops / self.peak
        self._restart()
        return self.newest

    def facts(self) -> dict[str, str]:
        """The last reading for the progress bar; empty before the first."""
        if not self.newest:
            return {}
        speed = self.newest["slices_per_second"]
        facts = {"slices/s": f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"}
        if "mfu" in self.newest:
            facts["MFU"] = f"{self.newest['mfu']:.1%}"
        return facts

    def _restart(self) -> None:
        self._steps, self._waited, self._from = 0, 0.0, self._clock()


def throughput_of(
    model: Model, train: Train, device_kinds: Sequence[str]
) -> Throughput:
    """Throughput counter of this model, training on devices of these kinds.

    `device_kinds` includes the devices of other processes, for the batch is theirs
    together. MFU counts the FLOPs of the model: recomputation by remat is overhead.
    """
    peak = total_peak_flops(device_kinds, train.precision)
    return Throughput(train.batch, training_flops(model, train.batch), peak)


class Profile:
    """Profiler trace of `steps` steps in `folder`, after the first few; 0 traces none.

    As a context manager it ends a trace that is still open, for example after a signal.
    """

    def __init__(self, steps: int, folder: Path, note: Callable[[str], None]) -> None:
        self._steps, self._folder, self._note = steps, folder, note
        self._seen = 0
        self._tracing = False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def before_step(self, state: State) -> None:
        """Start or end the trace if it is time; called before each step."""
        if self._steps == 0:
            return
        if self._seen == UNTRACED_STEPS:
            # Keep earlier steps out of the trace, and those in it complete.
            jax.block_until_ready(state)
            jax.profiler.start_trace(self._folder)
            self._tracing = True
        if self._seen == UNTRACED_STEPS + self._steps:
            jax.block_until_ready(state)
            self._end()
        self._seen += 1

    def _end(self) -> None:
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()
            traced = min(self._seen - UNTRACED_STEPS, self._steps)
            self._note(f"trace of {counted(traced, 'step')}: {self._folder}")


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
        held_out: str = "",
    ) -> None:
        self.train, self.score_name, self.clips_of = train, score_name, clips_of
        self.rows, self.progress = rows, progress
        self.score: float | None = None
        """Score of the newest finite step."""
        self.throughput = throughput or Throughput(train.batch)
        self._validation_of = f"validation ({held_out})" if held_out else "validation"
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
        what = f"{self._validation_of} {self._rounded(score)}"
        self.progress.note(f"step {step}: {what} {unit}")

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
