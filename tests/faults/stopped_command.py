"""A command that is stopped by signals at random moments, and started again."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from svtcli.run.signals import CODES, GRACE, SENTENCES
from tests.faults.faulted_run import PATIENCE, catches

SVT = (sys.executable, "-m", "svtcli", "-v")
SLACK = 10.0
"""Seconds after the grace of a signal in which a process has to end."""


@dataclass
class StoppedCommand:
    """A command line, run in `place`; `results` reads what it wrote."""

    words: list[str]
    place: Path
    results: Callable[[], dict[str, bytes]]
    codes: list[int] = field(default_factory=list)
    """Exit codes after a signal."""
    slowest: float = 0.0
    """Seconds from a signal to the end, at most."""
    uncaught: int = 0
    """Signals that came before Python had started."""

    def start(self) -> subprocess.Popen[str]:
        """Start the command in a process group of its own."""
        return subprocess.Popen(
            [*SVT, *self.words],
            cwd=self.place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self) -> float:
        """Run it to its end; return the seconds that it took."""
        begun = time.monotonic()
        process = self.start()
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        return time.monotonic() - begun

    def stop(self, number: signal.Signals, seconds: float, group: bool) -> bool:
        """Send a signal after `seconds`, to the group as a terminal does, or to it.

        Return True if the command had ended before.
        """
        process = self.start()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            caught = catches(process)
            sent = time.monotonic()
            (os.killpg if group else os.kill)(process.pid, number)
            _, said = process.communicate(timeout=GRACE + SLACK)
            self.slowest = max(self.slowest, time.monotonic() - sent)
            self.codes.append(process.returncode)
            self._check(process.returncode, number, said, caught)
            return False
        _, said = process.communicate()
        assert process.returncode == 0, said
        return True

    def _check(
        self, code: int, number: signal.Signals, said: str, caught: bool
    ) -> None:
        if not caught:
            self.uncaught += 1
            return
        if code == 0:  # it was over already
            return
        assert code == CODES[number], said
        assert SENTENCES[number] in said, said
        for word in ("Traceback", "Exception", "Error", "crash", "relaunching"):
            assert word not in said, said


def stop_at_random(
    command: StoppedCommand, times: int, seed: int, reset: Callable[[], None]
) -> None:
    """Stop the command `times` times, each time as a stop or a start left it.

    Finished, it must have written the same as undisturbed; `reset` removes that.
    """
    draw, results = random.Random(seed), command.results
    command.finish()  # compiles
    wanted = results()
    reset()
    seconds = command.finish()
    assert results() == wanted
    reset()
    while len(command.codes) < times:
        number = draw.choice(list(CODES))
        after = draw.uniform(0.05, seconds * 1.05)
        if command.stop(number, after, group=draw.random() < 0.5):
            assert results() == wanted
            reset()
    command.finish()
    assert results() == wanted
    codes = {code: command.codes.count(code) for code in sorted(set(command.codes))}
    print(
        f"{command.words[0]}: {times} signals, codes {codes}, slowest end "
        f"{command.slowest:.1f} s, {command.uncaught} before Python had started"
    )
