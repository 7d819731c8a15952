"""SIGTERM and Ctrl-C, served between two steps: finish the step, save, exit."""

import os
import signal
import threading
from types import FrameType, TracebackType

from svtcli.failure import Stopped

SHOW_CURSOR = b"\x1b[?25h"


class StopSignals:
    """While this is entered, the first signal is only remembered.

    The second Ctrl-C ends the process at once, with 130: what orbax is writing then is
    lost, what it has written is not. Outside of the main thread nothing is caught.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> "StopSignals":
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def failure(self, saved: int | None) -> Stopped:
        """What to raise once step `saved` is safe on the disk."""
        by_hand = self.received == signal.SIGINT
        kept = "nothing to save yet" if saved is None else f"step {saved} is saved"
        return Stopped(
            f"{'interrupted' if by_hand else 'stopped by SIGTERM'}; {kept}",
            "the same command goes on from there",
            code=130 if by_hand else 75,
        )

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received == number == signal.SIGINT:
            _exit_at_once()
        self.received = signal.Signals(number)


def _exit_at_once() -> None:
    """Leave without waiting for the threads that still write."""
    os.write(2, (SHOW_CURSOR if os.isatty(2) else b"") + b"\nsvt: stopped at once\n")
    os._exit(130)
