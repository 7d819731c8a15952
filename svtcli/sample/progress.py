"""Progress of sampling: videos, pixels a second, pixels a pass, and the time left."""

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from svtcli.run.progress import Progress


class SamplingClock:
    """Reports the progress of one call, of only the videos that it samples itself."""

    def __init__(
        self,
        progress: Progress,
        slices: int,
        pixels_per_slice: float,
        programs: int,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin to sample `slices` of whole batches.

        Rates leave out the first slices, which wait until `programs` are compiled.
        `pixels_per_slice` leaves out the padding of the last batch.
        """
        self._progress, self._pixels_per_slice = progress, pixels_per_slice
        self._programs, self._seconds = programs, seconds
        self.slices_done, self._begun = 0, 0.0
        self._positions, self._passes = 0, 0
        self._videos = ""
        progress.note("compiling the sampler (once per batch and slice shape)")
        progress.begin("sample", slices, "slices")

    def begin_batch(self, first: int, last: int, videos: int) -> None:
        """Begin videos `first` to `last`, counted from 1."""
        self._videos = f"{first} to {last} of {videos}"

    def slice_done(self, positions: int, passes: Int[np.ndarray, " B"]) -> None:
        """Count a slice of the batch."""
        self.slices_done += 1
        self._positions += positions * len(passes)
        self._passes += int(passes.sum())
        counted, now = self.slices_done - self._programs, self._seconds()
        if counted < 0:
            return
        facts = {"videos": self._videos}
        if counted == 0:  # whatever counts time begins here
            self._begun = now
        else:
            seconds = max(now - self._begun, 1e-9)
            facts["pixels/s"] = f"{counted * self._pixels_per_slice / seconds:,.0f}"
        facts["pixels/pass"] = f"{self._positions / self._passes:.1f}"
        self._progress.advance(self.slices_done, facts)
