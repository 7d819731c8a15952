import os
import signal
import threading

import pytest

from svtcli.stages.interrupt import no_interrupt_lost


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Freed:
    """Interrupted while it is freed, where Python forgets what is raised."""

    def __del__(self) -> None:
        interrupt()


def test_an_interrupt_in_a_callback_is_raised_between_two_pieces_of_work() -> None:
    reached, handler = [], signal.getsignal(signal.SIGINT)

    def work() -> None:
        with no_interrupt_lost() as raise_interrupt:
            raise_interrupt()
            freed = Freed()
            del freed
            reached.append("after it was freed")
            raise_interrupt()
            reached.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["after it was freed"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_one_that_comes_after_the_last_piece_is_raised_too() -> None:
    with pytest.raises(KeyboardInterrupt), no_interrupt_lost():
        interrupt()


def test_the_second_is_raised_at_once() -> None:
    reached = []

    def work() -> None:
        with no_interrupt_lost():
            interrupt()
            reached.append("after the first")
            interrupt()
            reached.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["after the first"]


def test_in_another_thread_nothing_is_caught() -> None:
    handlers = []

    def work() -> None:
        with no_interrupt_lost() as raise_interrupt:
            handlers.append(signal.getsignal(signal.SIGINT))
            raise_interrupt()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
