"""How far a preparation is, and when to give up."""

from collections.abc import Iterable
from time import monotonic

from svtcli.failure import CheckFailed
from svtcli.prepare.plan import Miss, Outcome, Task
from svtcli.prepare.publish import count_reasons
from svtcli.run.progress import Progress

SURE = 100
"""So many broken sources are seen before the rest is not tried any more: of few, a
person wants to know all."""


class TooManyBroken(CheckFailed):
    """More of the sources are broken than the caller allows."""


class Tally:
    """Counts what is done and what is broken, and tells the progress."""

    def __init__(self, progress: Progress, units: int, unit: str, most: float) -> None:
        self._progress, self._units, self._unit = progress, units, unit
        self._most = most
        self._done = 0
        self._since = monotonic()
        self.frames = 0
        """Written in this run."""
        self.misses: list[Miss] = []
        """All there are so far."""
        self._broken = 0

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return monotonic() - self._since

    def skip(self, units: int, misses: Iterable[Miss]) -> None:
        """Count what was done before."""
        self._done += units
        self._add(misses)

    def _add(self, misses: Iterable[Miss]) -> None:
        new = list(misses)
        self.misses += new
        self._broken += sum(miss.lost for miss in new if miss.broken)

    def task(self, task: Task, outcome: Outcome) -> None:
        """One task more is done."""
        self.units(task.units, outcome.frames, outcome.misses)

    def units(self, units: int, frames: int, misses: tuple[Miss, ...]) -> None:
        """So much more is done; what is broken is named at once.

        Errors: `TooManyBroken` when it is certain and not worth to go on.
        """
        self._done += units
        self.frames += frames
        self._add(misses)
        for miss in misses:
            if miss.broken:
                self._progress.note(f"{miss.item}: {miss.reason}: {miss.detail}")
        self._progress.advance(self._done, self._facts())
        if self._broken > SURE:
            self.check()

    def _facts(self) -> dict[str, str] | None:
        facts = {"frames/s": f"{self.frames / max(self.seconds, 1e-3):.0f}"}
        if self._broken:
            facts["failed"] = str(self._broken)
        return facts if self.frames or self._broken else None

    def check(self) -> None:
        """Errors: `TooManyBroken`."""
        if self._broken > self._most * self._units:
            reasons = count_reasons(self.misses)
            listed = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
            raise TooManyBroken(
                f"{self._broken} of {self._units} {self._unit} are broken "
                f"({listed}), more than {self._most:.3g} of them"
            )
