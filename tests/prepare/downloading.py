"""Helpers of the tests of downloads."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from svtcli.prepare.download import fetch
from svtcli.run.progress import Silent
from tests.prepare.loopback import Loopback, serve


@contextmanager
def publishing(
    patch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> Iterator[Loopback]:
    """A server that stands for all publishers; waiting for it takes no time."""
    patch.setattr(fetch, "BACK_OFF", (0.0,) * 3)
    patch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Loopback(files)) as loopback:
        patch.setenv("SVT_MIRROR", loopback.base)
        yield loopback


def files(folder: Path) -> dict[str, bytes]:
    """Files below a folder, without the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@dataclass
class Told(Silent):
    """Records what progress was told."""

    totals: list[int | None] = field(default_factory=list)
    last: int = 0

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        self.totals.append(total)

    def advance(self, done: int, facts: object = None) -> None:
        self.last = done


def room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """So many bytes are free from now on."""
    named = SimpleNamespace(total=free + 1, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: named)
