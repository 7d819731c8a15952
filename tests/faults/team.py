"""Processes of `svt train` that train together on this machine, over 127.0.0.1."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 240
"""Seconds: CI machines are loaded."""


@dataclass(frozen=True)
class Ended:
    """How one process ended."""

    code: int
    out: str
    err: str


class Team:
    """`count` processes in `place`, each with one device."""

    def __init__(self, place: Path, *words: str, count: int = 2, **flags: str) -> None:
        """`flags` of one process only: `of_1="train.batch=8"`."""
        self.place = place
        port = free_port()
        self.processes = [
            self._start(
                process,
                *words,
                *flags.get(f"of_{process}", "").split(),
                *("--coordinator", f"127.0.0.1:{port}", "--processes", str(count)),
                *("--process", str(process)),
            )
            for process in range(count)
        ]

    def _start(self, process: int, *words: str) -> subprocess.Popen:
        with (self.place / f"err.{process}").open("w") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "svtcli", "train", "tiny.yaml", *words],
                cwd=self.place,
                env={**os.environ, "JAX_NUM_CPU_DEVICES": "1"},
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for it, while all of them are alive."""
        late = time.monotonic() + PATIENCE
        while not reached():
            dead = [i for i, each in enumerate(self.processes) if each.poll()]
            assert not dead, [self.said(process) for process in dead]
            assert time.monotonic() < late
            time.sleep(0.01)

    def ended(self, *only: int) -> list[Ended]:
        """Wait for all, or some, to end."""
        ends = []
        for number in only or range(len(self.processes)):
            process = self.processes[number]
            try:
                out, _ = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                for each in self.processes:
                    each.kill()
                raise
            ends.append(Ended(process.returncode, out, self.said(number)))
        return ends

    def said(self, process: int) -> str:
        """What a process has said on stderr."""
        return (self.place / f"err.{process}").read_text()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
        return number
