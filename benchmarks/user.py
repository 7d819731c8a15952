"""svt as a user calls it: commands in a folder of their own, each with a time limit."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STOPPED = 75
"""Stopped by SIGTERM with everything saved."""
KEPT_FREE = 40
"""Seconds that a training which has not begun or does not stop leaves to the rest."""


class Failed(Exception):
    """A command that did not end as it should."""


@dataclass(frozen=True)
class User:
    """Calls svt in `work`; what its commands say goes to `log`."""

    work: Path
    log: Path
    memory: float
    """Share of an accelerator's memory that a command takes, two being there at once;
    means nothing on a CPU."""
    until: float
    """`time.monotonic()` at which all has to be over."""

    def left(self) -> float:
        """Seconds until then."""
        return self.until - time.monotonic()

    def svt(self, *words: str, limit: float) -> dict[str, Any]:
        """The result of a command, `limit` seconds long at most. Errors: Failed."""
        limit = min(limit, self.left())
        if limit < 1:
            raise Failed(f"svt {words[0]}: no time was left for it")
        process = self._start(words)
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self._stop(process, min(10, max(2, self.left())))
            raise Failed(f"svt {words[0]}: not done after {limit:.0f} s") from None
        if process.returncode:
            raise Failed(f"svt {words[0]}: exit {process.returncode}, {self._error()}")
        return json.loads(said.splitlines()[-1])

    def train(
        self, words: tuple[str, ...], stop_at: float, has_begun: Callable[[], bool]
    ) -> int:
        """Train until `stop_at`, longer where it has not begun to take steps; then
        SIGTERM; its exit code, 75 or 0.

        `has_begun` is asked every few seconds. Errors: Failed for any other code.
        """
        process, begun = self._start(("train", *words)), False
        latest = max(stop_at, self.until - KEPT_FREE)
        while process.poll() is None:
            now = time.monotonic()
            if now >= (stop_at if begun else latest):
                self._stop(process, max(10, self.left() - KEPT_FREE))
                break
            time.sleep(min(3, max(0.1, stop_at - now)))
            begun = has_begun()
        if process.returncode not in (0, STOPPED):
            raise Failed(f"svt train: exit {process.returncode}, {self._error()}")
        return process.returncode

    def said(self, pattern: str) -> list[str]:
        """Find `pattern` in all output so far."""
        text = self.log.read_text(encoding="utf-8") if self.log.is_file() else ""
        return re.findall(pattern, text)

    def _start(self, words: tuple[str, ...]) -> subprocess.Popen:
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        paths = [ROOT, *(Path(each).resolve() for each in given if each)]
        environment = {key: os.environ[key] for key in os.environ if key != "SVT_RUNS"}
        environment |= {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{self.memory}",
            "SVT_COMPILATION_CACHE": str(self.work / "compiled"),  # on a CPU too
        }
        with self.log.open("a", encoding="utf-8") as log:
            print("$ svt", *words, file=log, flush=True)
            return subprocess.Popen(
                [sys.executable, "-m", "svtcli", "--json", *words],
                cwd=self.work,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _stop(self, process: subprocess.Popen, patience: float) -> None:
        """SIGTERM; SIGKILL where that does not help."""
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _error(self) -> str:
        """Error message of the last command, or else its last line."""
        text = self.log.read_text(encoding="utf-8").rpartition("$ svt ")[2]
        lines = text.splitlines()[1:] or ["nothing was said"]
        wrong = [line for line in lines if re.match(r"svt: error|[\w.]+Error: ", line)]
        return (wrong or lines)[-1].strip()[:300]
