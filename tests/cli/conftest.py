"""Running svt where a module's fixture `place` is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.cli.terminal import Said, svt_here


@pytest.fixture
def here(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """`svt ARGUMENTS` in this process, with `place` as working directory."""
    monkeypatch.chdir(place)
    for name in ("SVT_RUNS", "SVT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return partial(svt_here, capfd)
