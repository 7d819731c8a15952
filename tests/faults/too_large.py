"""Program: `svt train` that runs out of memory in a step after a checkpoint."""

import sys
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from svtcli.cli.app import main
from svtcli.train import stage as stage
from svtcli.train.step import Update, jit_update

SAVED = 5


def grows(*given: Any) -> Update:
    """Compiled step that allocates too much once a checkpoint is saved."""
    step, place = jit_update(*given), Path("runs/tiny/checkpoints") / f"{SAVED}"

    def grown(state: Any, batch: Any) -> Any:
        if int(state["step"]) > SAVED:
            while not place.is_dir():  # process 0 seals it, in the background
                time.sleep(0.01)
            jnp.zeros(2**46).block_until_ready()
        return step(state, batch)

    return grown


if __name__ == "__main__":
    stage.jit_update = grows
    sys.exit(main(sys.argv[1:]))
