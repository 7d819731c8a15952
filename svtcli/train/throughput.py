"""How fast the steps go, and what of the time is lost on the way."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from svtcli.model.flops import training_flops
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.chips import peak_flops


class Pace:
    """Counts steps and time since it was last read; one instance a run."""

    def __init__(
        self,
        batch: int,
        flops: float | None = None,
        peak: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`flops` of a step of `batch` slices; `peak` FLOP/s of all devices together,
        None where it is not known."""
        self.batch, self.flops, self.peak, self._clock = batch, flops, peak, clock
        self.newest: dict[str, float] = {}
        """What was last read."""
        self._start()

    def step(self) -> None:
        """One more step is through."""
        self._steps += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The loop waits for a batch meanwhile."""
        begun = self._clock()
        yield
        self._waited += self._clock() - begun

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens meanwhile is no training, and not counted."""
        begun = self._clock()
        yield
        self._from += self._clock() - begun

    def read(self) -> dict[str, float]:
        """The values for a row of the log; counting starts anew."""
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
        self._start()
        return self.newest

    def facts(self) -> dict[str, str]:
        """As of the last reading, for the progress line; nothing before it."""
        if not self.newest:
            return {}
        speed = self.newest["slices_per_second"]
        facts = {"slices/s": f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"}
        if "mfu" in self.newest:
            facts["MFU"] = f"{self.newest['mfu']:.1%}"
        return facts

    def _start(self) -> None:
        self._steps, self._waited, self._from = 0, 0.0, self._clock()


def pace_of(model: Model, train: Train, kinds: Sequence[str]) -> Pace:
    """The pace of this model on devices of these `kinds`, as jax calls them.

    `kinds` has every device that takes part, those of other processes as well, for the
    batch is theirs together. MFU counts what the model needs: what remat computes again
    is no use that is made of a chip.
    """
    peaks = [peak_flops(kind, train.precision) for kind in kinds]
    known = [peak for peak in peaks if peak is not None]
    whole = sum(known) if known and len(known) == len(peaks) else None
    return Pace(train.batch, training_flops(model, train.batch), whole)
