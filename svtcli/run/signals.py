"""Signals to stop: Ctrl-C, SIGTERM, SIGHUP; remembered until nothing would be lost.

The command line calls `catch` before anything else. From then on a signal ends the
process at once, except while a `StopSignals` is open: there is work, which asks for the
signal wherever it can stop. No handler raises an exception: jax drops those that reach
one of its callbacks, and an import turns them into an ImportError.
"""

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from svtcli.failure import Stopped, error_object

if TYPE_CHECKING:  # which take as long as everything else here
    from pathlib import Path

SENTENCES = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "stopped by SIGTERM",
    signal.SIGHUP: "stopped by SIGHUP",
}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGHUP: 75}
ONE_PRESS = 1.0
"""Seconds within which two SIGINT are one Ctrl-C: a wrapper may pass it on again."""
GRACE = 5.0
"""Seconds that work with nothing unsaved has to reach a point where it can stop."""
TICK = 0.2
"""Seconds between two looks at work that has been asked to stop."""
SHOW_CURSOR = b"\x1b[?25h"
RESUME = "re-run the same command to resume"
NOTHING = "nothing to save yet"
"""Sentence about the disk where there is nothing to resume from."""

unfinished: set["Path"] = set()
"""Files and folders to remove where the process ends at once."""
answered = False
"""True once the result of the command is on stdout."""

_open: list["StopSignals"] = []
_uninterrupted: list[None] = []
_lock = threading.Lock()
_watcher: "_Watcher | None" = None


def catch() -> None:
    """Catch the signals until this process ends; the first call of the command line.

    A signal that the process was started with as ignored (`nohup`, a shell's `&`) stays
    ignored; one that was blocked until now arrives.
    """
    _start_watcher(leaves=True)
    for number in SENTENCES:
        _handle(number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SENTENCES)


class StopSignals:
    """Remember the first signal while this context is open; the work asks for it.

    A second Ctrl-C, a second or more after the first, ends the process at once with
    exit code 130: what is being written then is lost, what is on the disk is not. So
    does, after `catch`, a first signal that is not obeyed for `GRACE` seconds, except
    inside of `uninterrupted`. A signal that the work did not ask for is raised at the
    end. Outside of the main thread no signal is caught.
    """

    caught = tuple(SENTENCES)
    saved = "what was finished is saved"
    """Sentence about the disk: the last one that `check` was given."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> "StopSignals":
        self._stack = ExitStack()
        if threading.current_thread() is threading.main_thread():
            with _lock:
                _open.append(self)
            watcher = self._stack.enter_context(_watched())
            for number in self.caught:
                self._stack.enter_context(_handled(number))
            if watcher.first is not None:
                self.remember(watcher.first)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._stack.close()
        with _lock:
            if self in _open:
                _open.remove(self)
        if error is None and self.received is not None:
            raise self.stopped(self.saved)

    def requested(self) -> bool:
        """Return True if the work should stop at this point."""
        return self.received is not None

    def check(self, saved: str) -> None:
        """Raise `Stopped` if a signal came; `saved` tells what is on the disk."""
        self.saved = saved
        if self.requested():
            raise self.stopped(saved)

    def stopped(self, saved: str) -> Stopped:
        """Error to raise for the signal; `saved` tells what is on the disk."""
        number = self.received or signal.SIGTERM
        hint = None if saved == NOTHING else RESUME
        return Stopped(f"{SENTENCES[number]}; {saved}", hint, CODES[number])

    def remember(self, number: signal.Signals) -> None:
        """Note a signal that has arrived; the first one counts."""
        self.received = self.received or number


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Do work whose results are still in memory alone: only a second Ctrl-C ends it."""
    _uninterrupted.append(None)
    try:
        yield
    finally:
        _uninterrupted.pop()


@contextmanager
def blocked() -> Iterator[None]:
    """Start processes that no signal to stop reaches; this one gets it at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SENTENCES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Restore the handlers at the end, after a library has installed its own."""
    before = {number: signal.getsignal(number) for number in SENTENCES}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _remember(number: int, frame: FrameType | None) -> None:
    """Remember a signal, before the main thread does anything else."""
    if _watcher is not None:
        _watcher.remember(signal.Signals(number))


def _handle(number: signal.Signals) -> object:
    """Install the handler, unless the signal is ignored; return the one before."""
    before = signal.getsignal(number)
    if before is not signal.SIG_IGN:
        signal.signal(number, _remember)
    return before


@contextmanager
def _handled(number: signal.Signals) -> Iterator[None]:
    before = _handle(number)
    try:
        yield
    finally:
        if callable(before) or isinstance(before, signal.Handlers):
            signal.signal(number, before)


class _Watcher(threading.Thread):
    """Thread that obeys a signal where the main thread cannot.

    Python runs a handler only when the main thread is back in Python code, and merges
    signals that arrive before; an import or XLA's compiler may keep it for minutes.
    """

    def __init__(self, reader: int, leaves: bool) -> None:
        super().__init__(name="signals", daemon=True)
        self._reader, self._leaves = reader, leaves
        self.first: signal.Signals | None = None
        """The first signal that arrived."""
        self._passed_on = False
        self._since: float | None = None
        self._pressed: float | None = None

    def run(self) -> None:
        """Obey the signals whose numbers arrive, until the other end is closed."""
        while True:
            tick = TICK if self._since and self._leaves else None
            if select.select([self._reader], [], [], tick)[0]:
                if not (byte := os.read(self._reader, 1)):
                    os.close(self._reader)
                    return
                if byte[0] in SENTENCES:
                    self._arrived(signal.Signals(byte[0]))
            if self._since and self._leaves:
                self._leave_in_time(self._since)

    def remember(self, number: signal.Signals) -> None:
        """Pass a signal on to the work, if there is any."""
        self.first = self.first or number
        self._passed_on = self._passed_on or bool(_open or _uninterrupted)
        for stop in _open:
            stop.remember(number)

    def _arrived(self, number: signal.Signals) -> None:
        now = time.monotonic()
        with _lock:
            self.remember(number)
            if self._leaves and not self._passed_on:
                _leave(number)
            self._since = self._since or now
        if number == signal.SIGINT:
            self._pressed = self._pressed or now
            if now - self._pressed >= ONE_PRESS:
                _exit(CODES[number], "stopped at once")

    def _leave_in_time(self, since: float) -> None:
        """End the process if nothing would be lost and it does not stop by itself."""
        now, first = time.monotonic(), self.first or signal.SIGTERM
        if _uninterrupted:
            self._since = now
        elif now - since >= GRACE:
            saved = _open[-1].saved if _open else ""
            hint = None if saved == NOTHING else RESUME
            _leave(first, f"; {saved}" if saved else "", hint)


@contextmanager
def _watched() -> Iterator[_Watcher]:
    """Watch the signals by a thread; by the same one where it is there already."""
    global _watcher
    if _watcher is not None:
        yield _watcher
        return
    watcher, before = _start_watcher(leaves=False)
    try:
        yield watcher
    finally:
        os.close(signal.set_wakeup_fd(before))  # ends the thread
        watcher.join()
        _watcher = None


def _start_watcher(leaves: bool) -> tuple[_Watcher, int]:
    """Start the thread; with `leaves` it may end the process for a first signal.

    Return it, and the wake-up file that was there before.
    """
    global _watcher
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    _watcher = _Watcher(reader, leaves)
    _watcher.start()
    return _watcher, signal.set_wakeup_fd(writer, warn_on_full_buffer=False)


def _leave(number: signal.Signals, saved: str = "", hint: str | None = None) -> None:
    """End the process for a first signal; with --json, its answer is that."""
    sentence, code = f"{SENTENCES[number]}{saved}", CODES[number]
    if "--json" in sys.argv and not answered:
        answer = json.dumps(error_object(sentence, hint, code))
        with suppress(OSError):
            os.write(1, f"{answer}\n".encode())
    _exit(code, f"{sentence}\nhint: {hint}" if hint else sentence)


def _exit(code: int, sentence: str) -> None:
    """Exit without waiting for threads that still write."""
    for path in list(unfinished):
        from shutil import rmtree

        with suppress(OSError):
            rmtree(path) if path.is_dir() else path.unlink()
    terminal = os.isatty(2)
    with suppress(OSError):
        os.write(2, (SHOW_CURSOR + b"\n") * terminal + f"svt: {sentence}\n".encode())
    os._exit(code)
