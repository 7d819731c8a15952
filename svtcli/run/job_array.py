"""Job arrays: the same command as several tasks, each with its share of the work."""

from dataclasses import dataclass

from svtcli.failure import Refused


@dataclass(frozen=True)
class ArrayTask:
    """Task `index`, from 0, of `count`: it takes every `count`-th piece of the work."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"

    @classmethod
    def from_flags(cls, index: int | None, count: int | None) -> "ArrayTask | None":
        """Task given by `--task-index` and `--task-count`; None without them.

        Errors: Refused if only one is given, or the index is too large.
        """
        if (index is None) != (count is None):
            raise Refused("--task-index and --task-count go together")
        if index is None or count is None:
            return None
        if index >= count:
            raise Refused(f"--task-index {index}: the last one is {count - 1}")
        return cls(index, count)

    def share(self, pieces: int) -> range:
        """Numbers of this task's pieces, out of `pieces`."""
        return range(self.index, pieces, self.count)
