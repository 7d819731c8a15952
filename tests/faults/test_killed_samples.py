"""Sampling that is killed at any moment resumes to the same bytes."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

LINE = "sample mine --schedule sequential --per-prime 20 --batch 2 --out"
SLICES = 240
"""Slices of the 30 batches."""


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def killed(out: str, slices: int, seconds: float) -> bool:
    """Kill a call some seconds after some slices; return False if it ended before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "svtcli", "-v", *LINE.split(), out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if sum(each.startswith("sample: ") for each in said) == slices:
            time.sleep(seconds)
            process.kill()
    process.communicate()
    assert process.returncode in (0, -9), said
    return process.returncode == -9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_sampling_resumes_to_the_same_bytes(place, seed):
    draw = random.Random(seed)
    assert not killed("whole", SLICES + 1, 0)
    kills = 0
    while killed("torn", draw.randrange(1, SLICES), draw.random() / 50):
        kills += 1
    assert kills
    assert contents(place / "torn") == contents(place / "whole")
    assert not list(place.glob(".torn*"))
