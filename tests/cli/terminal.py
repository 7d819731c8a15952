"""Running svt as its user does: its words and its exit code."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from svtcli.cli import console
from svtcli.cli.app import main


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


def svt(*arguments: str, cwd: Path | None = None, **environment: str) -> Said:
    """Run `svt ARGUMENTS` in a process of its own.

    No terminal, so no colour and no live bar.
    """
    done = subprocess.run(
        [sys.executable, "-m", "svtcli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=300,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def svt_here(capfd: pytest.CaptureFixture[str], *arguments: str) -> Said:
    """The same in this process, where jax is loaded once and programs are kept."""
    capfd.readouterr()
    try:
        code = main(arguments)
    finally:
        console.configure(console.Settings())
    said = capfd.readouterr()
    return Said(code, said.out, said.err)
