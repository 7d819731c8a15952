"""A stop from outside, in the middle of work that can go on later."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from svtcli.failure import Stopped


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that nothing takes it for a failed task."""


@contextmanager
def stoppable(kept: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Stopped`, once what runs here has cleaned up.

    `kept` says what is safe on the disk. Outside of the main thread, only Ctrl-C.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminate) if main else None
    again = "the same command goes on from there"
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(f"interrupted; {kept()}", again, code=130) from None
    except Terminated:
        raise Stopped(f"stopped by SIGTERM; {kept()}", again) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def no_interrupt_lost() -> Iterator[Callable[[], None]]:
    """Raise the first Ctrl-C where what this gives is called: between pieces of work.

    Python raises it wherever the main thread is. In a callback, such as jax has for
    arrays that are freed, it is printed there and forgotten. The second one is raised
    at once. Outside of the main thread none is caught.
    """
    received = False

    def raise_what_came() -> None:
        if received:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield raise_what_came
        return

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield raise_what_came
        raise_what_came()
    finally:
        signal.signal(signal.SIGINT, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
