"""A trace of some steps, for a profiler to show: what the device did, and when."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import jax

from svtcli.failure import Refused
from svtcli.train.state import State

WARM_UP = 3
"""Steps before the trace begins: the first ones are slower than all others."""


class Profile:
    """Traces `steps` steps into `folder`, after the first few; 0 traces none.

    As a context manager it ends a trace that is still open, as after a signal.
    """

    def __init__(self, steps: int, folder: Path, note: Callable[[str], None]) -> None:
        self._steps, self._folder, self._note = steps, folder, note
        self._seen = 0
        self._tracing = False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def before_step(self, state: State) -> None:
        """A step is about to be sent off; begin or end the trace if it is time."""
        if self._steps == 0:
            return
        if self._seen == WARM_UP:
            # What was sent off before is no part of the trace; what is in it is whole.
            jax.block_until_ready(state)
            jax.profiler.start_trace(self._folder)
            self._tracing = True
        if self._seen == WARM_UP + self._steps:
            jax.block_until_ready(state)
            self._end()
        self._seen += 1

    def _end(self) -> None:
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()
            traced = min(self._seen - WARM_UP, self._steps)
            self._note(f"trace of {traced} steps: {self._folder}")


def refuse_short_profile(steps: int, left: int) -> None:
    """Errors: Refused where fewer than `steps` steps would come after the first few."""
    if steps and steps + WARM_UP > left:
        raise Refused(
            f"--profile {steps}: only {left} steps are left, and the first {WARM_UP} "
            "are not traced",
            f"ask for at most {left - WARM_UP}" if left > WARM_UP else None,
        )
