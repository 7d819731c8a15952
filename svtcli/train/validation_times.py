"""Scores on held-out clips while a run is trained: when they are taken.

What is scored and how is given as a function, for training knows no evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import PyTree

from svtcli.train.state import State, used_params


@dataclass(frozen=True)
class Validation:
    """A score after each `every` steps."""

    every: int | None
    """None never takes any."""
    score: Callable[[PyTree], float | None]
    """Of parameters; None when a signal has cut it short."""
    missed: int | None = None
    """The restored step, where the process that took it ended before its score."""

    def due(self, step: int) -> bool:
        """Whether the state after `step` steps is scored."""
        return self.every is not None and step % self.every == 0

    def of(self, state: State) -> float | None:
        """The score that `svt eval` gives for a checkpoint of `state`."""
        return self.score(used_params(state))


NO_VALIDATION = Validation(None, lambda params: None)
