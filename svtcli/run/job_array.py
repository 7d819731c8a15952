"""One task of a job array, and its share of the work."""

from dataclasses import dataclass

from svtcli.failure import Refused

PATIENCE = 60.0
"""Seconds that a task waits for another one to look around."""


@dataclass(frozen=True)
class Part:
    """Task `index` of `count` of a job array: every `count`-th piece of the work."""

    index: int
    count: int

    def share(self, pieces: int) -> range:
        """Which of so many pieces are this task's."""
        return range(self.index, pieces, self.count)


def part_of(index: int | None, count: int | None) -> Part | None:
    """What `--task-index` and `--task-count` say; None where they say nothing.

    Errors: Refused where they do not fit each other.
    """
    if (index is None) != (count is None):
        raise Refused("--task-index and --task-count go together")
    if index is None or count is None:
        return None
    if index >= count:
        raise Refused(f"--task-index {index}: the last one is {count - 1}")
    return Part(index, count)
