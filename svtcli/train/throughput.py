"""Speed of the steps: throughput, utilization of the chips (MFU), profiler traces."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax

from svtcli.model.flops import training_flops
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.chips import peak_flops
from svtcli.train.plan import UNTRACED_STEPS
from svtcli.train.state import State


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
    peaks = [peak_flops(kind, train.precision) for kind in device_kinds]
    known = [peak for peak in peaks if peak is not None]
    total = sum(known) if known and len(known) == len(peaks) else None
    return Throughput(train.batch, training_flops(model, train.batch), total)


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
            self._note(f"trace of {traced} steps: {self._folder}")
