"""Signals to stop: the first is remembered, the second Ctrl-C ends the process."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from svtcli.failure import Stopped
from svtcli.run.signals import StopSignals

WORKS_ON = """
import threading, time
from svtcli.run.signals import StopSignals
threading.Thread(target=time.sleep, args=(600,)).start()  # a save that takes long
with StopSignals() as stop:
    print("ready", flush=True)
    while stop.received is None:
        time.sleep(0.01)
    print("saving", flush=True)
    time.sleep(600)
"""


def ready(program: str) -> subprocess.Popen:
    """A process that has said so."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_second_interrupt_exits_while_a_thread_still_writes() -> None:
    process = ready(WORKS_ON)
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "saving\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)  # it would sleep for 600 s
    assert process.returncode == 130
    assert said == "\nsvt: stopped at once\n"


IN_C = """
import ctypes
from svtcli.run.signals import StopSignals
lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, (ctypes.c_char * 64)()
with StopSignals():
    print("ready", flush=True)
    lock(mutex)
    lock(mutex)  # for ever: as in XLA's compiler, no handler of Python runs meanwhile
"""


def test_a_second_interrupt_exits_while_c_code_runs() -> None:
    process = ready(IN_C)
    began = time.monotonic()
    # Two that follow closely may reach it as one.
    while process.poll() is None and time.monotonic() < began + 120:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    process.kill()
    assert process.returncode == 130
    assert process.communicate()[1] == "\nsvt: stopped at once\n"


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGTERM, 75, "stopped by SIGTERM; step 7 is saved"),
        (signal.SIGINT, 130, "interrupted; step 7 is saved"),
    ],
)
def test_the_first_signal_is_remembered(
    number: signal.Signals, code: int, words: str
) -> None:
    before = signal.getsignal(number)
    with StopSignals() as stop:
        stop.check("nothing came yet")
        os.kill(os.getpid(), number)
        assert stop.requested()
        with pytest.raises(Stopped) as caught:
            stop.check("step 7 is saved")
        assert (caught.value.code, caught.value.sentence) == (code, words)
    assert signal.getsignal(number) is before


def test_repeated_sigterm_is_still_one_stop() -> None:
    with StopSignals() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    handlers = []

    def inside() -> None:
        with StopSignals():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]
