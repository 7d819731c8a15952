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


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
