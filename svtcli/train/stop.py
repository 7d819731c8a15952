"""SIGTERM and Ctrl-C, served between two steps: finish the step, save, exit.

Of several processes each may be told at another moment, or one alone; all stop after
the same step.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType

from jax.experimental import multihost_utils

from svtcli.failure import Stopped
from svtcli.train.distributed import Peers

SHOW_CURSOR = b"\x1b[?25h"


class StopSignals:
    """While this is entered, the first signal is only remembered.

    The second Ctrl-C ends the process at once, with 130: what orbax is writing then is
    lost, what it has written is not. Outside of the main thread nothing is caught.
    """

    caught: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> "StopSignals":
        self._before, self._impatience = {}, ExitStack()
        if threading.current_thread() is threading.main_thread():
            self._impatience.enter_context(_second_interrupt_ends())
            for number in self.caught:
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
        self._impatience.close()

    def now(self) -> signal.Signals | None:
        """The signal to stop for at this point, if there is one."""
        return self.received

    def failure(self, saved: int | None) -> Stopped:
        """What to raise once step `saved` is safe on the disk."""
        nothing = "nothing to save yet"
        return self.stopped(nothing if saved is None else f"step {saved} is saved")

    def stopped(self, kept: str) -> Stopped:
        """What to raise for the signal; `kept` says what is safe on the disk."""
        by_hand = self.received == signal.SIGINT
        return Stopped(
            f"{'interrupted' if by_hand else 'stopped by SIGTERM'}; {kept}",
            "the same command goes on from there",
            code=130 if by_hand else 75,
        )

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)


class AgreedStop(StopSignals):
    """The same for several processes, which all ask at the same points.

    jax catches SIGTERM (a handler of ours would hide it) and carries it to the others;
    so Ctrl-C is passed on as one.
    """

    caught = (signal.SIGINT,)

    def __init__(self, peers: Peers) -> None:
        super().__init__()
        self._peers = peers
        self._asked = 0
        self._agreed = False

    def now(self) -> signal.Signals | None:
        """The signal to stop for, once all have come to the point to stop at."""
        self._peers.beat()
        self._asked += 1
        if multihost_utils.reached_preemption_sync_point(self._asked):
            self._agreed = True
            self.received = self.received or signal.SIGTERM
        return self.received if self._agreed else None

    def _remember(self, number: int, frame: FrameType | None) -> None:
        super()._remember(number, frame)
        os.kill(os.getpid(), signal.SIGTERM)


def stop_signals(peers: Peers) -> StopSignals:
    """What `peers` stop for."""
    return StopSignals() if peers.count == 1 else AgreedStop(peers)


@contextmanager
def _second_interrupt_ends() -> Iterator[None]:
    """Leave at the second Ctrl-C, wherever the main thread is.

    Python's handlers wait until that thread runs Python again, and two signals are one
    to them; but it may be in XLA's compiler for minutes. So another thread counts.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def count() -> None:
        interrupts = 0
        while number := os.read(heard, 1):
            interrupts += number[0] == signal.SIGINT
            if interrupts == 2:
                _exit_at_once()

    counting = threading.Thread(target=count, name="interrupts", daemon=True)
    counting.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)  # which ends the thread
        counting.join()
        os.close(heard)


def _exit_at_once() -> None:
    """Leave without waiting for the threads that still write."""
    os.write(2, (SHOW_CURSOR if os.isatty(2) else b"") + b"\nsvt: stopped at once\n")
    os._exit(130)
