"""How far scoring is, told in clips; where a signal to stop is served."""

from svtcli.run.progress import Progress
from svtcli.run.signals import StopSignals


class ScoringCount:
    """Counts what a call scores; a clip counts once for every model."""

    def __init__(
        self,
        progress: Progress,
        stop: StopSignals,
        slices: int,
        models: int,
        clips: int,
        owed: int,
    ) -> None:
        """`models` are to score so many `clips`, in `slices` each; so many are `owed`
        still.
        """
        self._progress, self._stop, self._slices = progress, stop, slices
        self._models, self._clips = models, clips
        self._before, self._done = models * clips - owed, 0
        if self._before:
            progress.note(f"{self._kept} were scored before")

    def begin_batch(self, model: str, clips: int) -> None:
        """`model` scores so many clips now."""
        self._model, self._in_batch, self._slices_done = model, clips, 0

    def slice_done(self) -> None:
        """One more slice of the batch is scored. Errors: `Stopped`."""
        self._slices_done += 1
        share = self._in_batch * self._slices_done // self._slices
        self._progress.advance(self._done + share, {"model": self._model})
        if self._slices_done < self._slices:  # after its last, a batch is kept first
            self._leave_if_stopped()

    def batch_kept(self) -> None:
        """The batch is on the disk. Errors: `Stopped`."""
        self._done += self._in_batch
        self._leave_if_stopped()

    @property
    def _kept(self) -> str:
        each = f" ({self._clips} by each of {self._models} models)"
        of = f"{self._before + self._done} of {self._models * self._clips} clips"
        return of + (each if self._models > 1 else "")

    def _leave_if_stopped(self) -> None:
        self._stop.check(f"{self._kept} are scored and kept")
