"""What is left of a write that failed, when orbax has given it up.

TensorStore's threads still report to an event loop that orbax has closed by then, and
Python prints a traceback for each such report, around the one line that says what is
wrong. Nobody waits for them, so they are dropped.
"""

import sys
import traceback
from collections.abc import Callable


def drop_lost_reports() -> None:
    """From now on in this process; once is enough."""
    if not isinstance(sys.unraisablehook, _Hook):
        sys.unraisablehook = _Hook(sys.unraisablehook)


class _Hook:
    """Passes on what is none of them."""

    def __init__(self, others: Callable[["sys.UnraisableHookArgs"], object]) -> None:
        self.others = others

    def __call__(self, unraisable: "sys.UnraisableHookArgs") -> None:
        if not _is_lost_report(unraisable.exc_value):
            self.others(unraisable)


def _is_lost_report(error: BaseException | None) -> bool:
    if not isinstance(error, RuntimeError) or str(error) != "Event loop is closed":
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[0].name == "call_soon_threadsafe"
