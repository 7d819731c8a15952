"""Running svt as its user does: a process of its own, its words and its exit code."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


def svt(*arguments: str, cwd: Path | None = None, **environment: str) -> Said:
    """Run `svt ARGUMENTS`; no terminal, so no colour and no live bar."""
    done = subprocess.run(
        [sys.executable, "-m", "svtcli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=300,
    )
    return Said(done.returncode, done.stdout, done.stderr)
