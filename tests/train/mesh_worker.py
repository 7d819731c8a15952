"""Trains the tiny run on grids of simulated devices; run as a process of its own.

Arguments: a folder with `tiny.yaml`, then one word a training: `RUN:UNTIL:OVERRIDES`.
Prints a line of JSON for each, and leaves in `RUN.npy` what its checkpoint gives to
sampling: all parameters, and all averages after them where they are kept.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

from svtcli.failure import Failure
from svtcli.model.svt import abstract_params
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train.checkpoint import restore_params
from svtcli.train.commit_record import latest_step
from svtcli.train.plan import plan_training
from svtcli.train.stage import set_up, train
from tests.train import tiny_run

SCORED = "validation_bits_per_dim"


def trained(folder: Path, name: str, until: int, *overrides: str) -> dict:
    """Losses of one training, or what it was refused for; parameters go to a file."""
    loaded = tiny_run.loaded(folder / "tiny.yaml", *overrides)
    run = RunFolder(folder / "runs" / name)
    try:
        device = set_up(plan_training(loaded, run)).layout.description
        train(loaded, run, Silent(), until)
    except Failure as failure:
        return {"failure": f"{failure.sentence}; {failure.hint}"}
    step = latest_step(run.checkpoints)
    assert step == until
    shapes = abstract_params(loaded.recipe.model)
    kept = ["params", "ema"] if loaded.recipe.train.ema else ["params"]
    parts = [restore_params(run.checkpoints, step, shapes, part) for part in kept]
    leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(parts)]
    np.save(folder / f"{name}.npy", np.concatenate(leaves))
    rows = read_metrics(run.metrics)
    return {
        "device": device,
        "losses": [row["loss"] for row in rows if "loss" in row],
        "scores": [row[SCORED] for row in rows if SCORED in row],
    }


if __name__ == "__main__":
    for word in sys.argv[2:]:
        name, until, overrides = word.split(":", 2)
        result = trained(Path(sys.argv[1]), name, int(until), *overrides.split())
        print(json.dumps(result), flush=True)
