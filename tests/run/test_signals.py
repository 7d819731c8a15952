"""Signals to stop: the first is remembered, the second Ctrl-C ends the process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from svtcli.failure import Stopped
from svtcli.run.signals import ONE_PRESS, StopSignals

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
    process.send_signal(signal.SIGINT)  # a wrapper passes the same Ctrl-C on
    time.sleep(ONE_PRESS)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)  # it would sleep for 600 s
    assert process.returncode == 130
    assert said == "svt: stopped at once\n"


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
    assert process.communicate()[1] == "svt: stopped at once\n"


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGTERM, 75, "stopped by SIGTERM; step 7 is saved"),
        (signal.SIGHUP, 75, "stopped by SIGHUP; step 7 is saved"),
        (signal.SIGINT, 130, "interrupted; step 7 is saved"),
    ],
)
def test_the_first_signal_is_remembered(
    number: signal.Signals, code: int, words: str
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught:
        ask(number)
    assert (caught.value.code, caught.value.sentence) == (code, words)
    assert signal.getsignal(number) is before


def ask(number: signal.Signals) -> None:
    """Get a signal, and ask for it."""
    with StopSignals() as stop:
        stop.check("nothing came yet")
        os.kill(os.getpid(), number)
        assert stop.requested()
        stop.check("step 7 is saved")


def do_not_ask(times: int, error: Exception | None = None) -> None:
    """Get signals, and end without asking for them."""
    with StopSignals() as stop:
        stop.check("7 of 9 videos are kept")
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        if error is not None:
            raise error


def test_repeated_sigterm_is_still_one_stop_though_the_work_did_not_ask() -> None:
    with pytest.raises(Stopped, match="stopped by SIGTERM; 7 of 9 videos are kept"):
        do_not_ask(3)


def test_an_error_of_the_work_comes_before_the_signal() -> None:
    with pytest.raises(ZeroDivisionError):
        do_not_ask(1, ZeroDivisionError())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), number)
            assert not stop.requested()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    handlers = []

    def inside() -> None:
        with StopSignals():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]


CAUGHT = """
import ctypes, time
from pathlib import Path
from svtcli.run import signals
signals.catch()
signals.GRACE = 0.5
def wait_in_c():
    print("ready", flush=True)
    ctypes.PyDLL(None).usleep(100_000)  # as an import, it lets no thread run
    lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, (ctypes.c_char * 64)()
    lock(mutex)
    lock(mutex)
"""
AT_WORK = """
with signals.StopSignals() as stop:
    stop.check("7 of 9 videos are kept")
"""
PLACES = {
    "nothing is at work": ("wait_in_c()", ""),
    "nothing is unsaved": (
        f"{AT_WORK}    wait_in_c()",
        "; 7 of 9 videos are kept\nhint: re-run the same command to resume",
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 75, "stopped by SIGTERM"),
        (signal.SIGHUP, 75, "stopped by SIGHUP"),
    ],
)
def test_a_signal_ends_the_command_line_where(
    place: str, number: signal.Signals, code: int, words: str, tmp_path: Path
) -> None:
    program, saved = PLACES[place]
    half = tmp_path / "half"
    half.touch()
    process = ready(f"{CAUGHT}signals.unfinished.add(Path({str(half)!r}))\n{program}\n")
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (code, f"svt: {words}{saved}\n")
    assert not half.exists()


UNSAVED = f"""{CAUGHT}{AT_WORK}
    with signals.uninterrupted():
        print("ready", flush=True)
        time.sleep(2)
        print("saved", flush=True)
    stop.check("step 7 is saved")
"""


def test_what_is_unsaved_is_not_given_up() -> None:
    process = ready(UNSAVED)
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=120)
    assert out == "saved\n"
    assert "Stopped: stopped by SIGTERM; step 7 is saved" in said


def test_a_signal_before_the_work_is_remembered_where_nothing_may_end() -> None:
    early = "import os\nwith signals.uninterrupted():\n  os.kill(os.getpid(), 15)\n"
    program = f"{CAUGHT}print('ready', flush=True)\n{early}{AT_WORK}"
    _, said = ready(program).communicate(timeout=120)
    assert "Stopped: stopped by SIGTERM; 7 of 9 videos are kept" in said


@pytest.mark.parametrize("answered", [False, True])
def test_with_json_the_signal_is_the_answer_if_there_is_none(answered: bool) -> None:
    before = f"import sys\nsys.argv.append('--json')\n{CAUGHT}"
    process = ready(f"{before}signals.answered = {answered}\nwait_in_c()\n")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    facts = {"kind": "stopped", "message": "stopped by SIGTERM", "hint": None}
    assert (json.loads(out) if out else None) == (
        None if answered else {**facts, "code": 75}
    )
