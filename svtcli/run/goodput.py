"""How much of a run's time went into steps that count, from its log alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from svtcli.run.metrics_log import Row


@dataclass(frozen=True)
class Goodput:
    """Seconds since the first step, and what they were spent on."""

    wall: float
    """From the first step to the last row, stops included."""
    productive: float
    """Of steps when they were taken for the first time."""
    replayed: int
    """Steps that were taken again after a stop."""

    @property
    def share(self) -> float:
        """Productive of all."""
        return self.productive / self.wall if self.wall else 1.0


def goodput(rows: Sequence[Row]) -> Goodput | None:
    """Of the rows as they were written, repeated ones too; None where none has times.

    A row speaks of all steps since the row before, so that what is lost below the
    distance of two rows is not seen.
    """
    timed = [row for row in rows if "time" in row and "steps_per_second" in row]
    if not timed:
        return None
    productive, replayed, reached, before = 0.0, 0, 0, 0
    begun = timed[0]["time"] - timed[0]["step"] / timed[0]["steps_per_second"]
    for row in timed:
        step, rate = int(row["step"]), row["steps_per_second"]
        if step > reached:
            productive += (step - reached) / rate
            reached = step
        else:
            # The first row after a stop begins somewhere since the row before it.
            replayed += step - before if step > before else 1
        before = step
    return Goodput(timed[-1]["time"] - begun, productive, replayed)
