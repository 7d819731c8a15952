"""SIGTERM and Ctrl-C: remembered until the work can stop without losing anything."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from svtcli.failure import Stopped

SHOW_CURSOR = b"\x1b[?25h"
RESUME = "re-run the same command to resume"


class StopSignals:
    """Remember the first signal while this context is open; the work asks for it.

    A second Ctrl-C ends the process at once, with exit code 130: what is being written
    then is lost, what is on the disk is not. Outside of the main thread no signal is
    caught.
    """

    caught: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> "StopSignals":
        self._handlers, self._stack = {}, ExitStack()
        if threading.current_thread() is threading.main_thread():
            self._stack.enter_context(_second_interrupt_exits())
            for number in self.caught:
                self._handlers[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._stack.close()

    def requested(self) -> bool:
        """Return True if the work should stop at this point."""
        return self.received is not None

    def check(self, saved: str) -> None:
        """Raise `Stopped` if a signal came; `saved` tells what is on the disk."""
        if self.requested():
            raise self.stopped(saved)

    def stopped(self, saved: str) -> Stopped:
        """Error to raise for the signal; `saved` tells what is on the disk."""
        interrupted = self.received == signal.SIGINT
        return Stopped(
            f"{'interrupted' if interrupted else 'stopped by SIGTERM'}; {saved}",
            RESUME,
            code=130 if interrupted else 75,
        )

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)


@contextmanager
def _second_interrupt_exits() -> Iterator[None]:
    """Exit at the second Ctrl-C, whatever the main thread is doing.

    Python runs a handler only when the main thread is back in Python code, and merges
    signals that arrive before; XLA's compiler may keep it for minutes. So another
    thread counts them.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def count() -> None:
        interrupts = 0
        while number := os.read(reader, 1):
            interrupts += number[0] == signal.SIGINT
            if interrupts == 2:
                _exit_at_once()

    counter = threading.Thread(target=count, name="interrupts", daemon=True)
    counter.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)  # ends the thread
        counter.join()
        os.close(reader)


def _exit_at_once() -> None:
    """Exit without waiting for threads that still write."""
    os.write(2, (SHOW_CURSOR if os.isatty(2) else b"") + b"\nsvt: stopped at once\n")
    os._exit(130)
