"""Simulated devices, which jax must know of before it starts: a process of its own."""

import json
import os
import subprocess
import sys
from typing import Any


def on_devices(
    count: int, worker: str, *args: str, **env: str
) -> tuple[list[Any], str]:
    """What a worker printed with so many simulated devices, and its stderr.

    It is a module of this room, or named in full.
    """
    module = worker if "." in worker else f"tests.train.{worker}"
    settings = {
        "JAX_NUM_CPU_DEVICES": str(count),
        # Compiles twice as fast. What devices do with each other is settled before.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        env=os.environ | settings | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr
