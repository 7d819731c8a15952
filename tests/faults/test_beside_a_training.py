"""Readers of a run whose training saves and deletes a checkpoint at every step."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.faulted_run import FaultedRun

LINES = (
    "eval tiny --metric bits --clips 2 -n",
    "sample tiny --count 1 -n",
    "sample tiny --count 1 --out {out}",
    "eval tiny --metric bits --clips 2",
    "runs export tiny {out}.safetensors",
)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_readers_take_a_whole_checkpoint_while_training_goes_on(tmp_path: Path) -> None:
    every_step = ("train.save_every=1", "train.keep=1")
    faulted = FaultedRun(tmp_path, 1_000_000, *every_step)
    training = faulted.process()
    faulted._wait_for_rows(3, training)
    steps = []
    for number in range(50):
        line = LINES[number % len(LINES)].format(out=f"out{number}")
        reader = subprocess.run(
            [sys.executable, "-m", "svtcli", "--json", *line.split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert reader.returncode == 0, f"{line}: {reader.stderr}"
        steps.append(json.loads(reader.stdout).get("checkpoint"))
        assert training.poll() is None
    training.send_signal(signal.SIGTERM)
    assert training.wait(60) == 75
    print(f"{len(steps)} readers beside {faulted.saved()} saves: {steps}")
    assert len(faulted.run.steps()) == 1
