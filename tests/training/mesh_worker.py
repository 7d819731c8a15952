"""Trains the tiny run on grids of simulated devices; run as a process of its own.

Arguments: a folder with `tiny.yaml`, then one word a training: `RUN:UNTIL:OVERRIDES`.
Prints a line of JSON for each.
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
from svtcli.stages.train import plan_training, train
from svtcli.training.checkpoint import latest_step, restore_params
from tests.training import tiny_run


def trained(folder: Path, name: str, until: int, *overrides: str) -> dict:
    """Losses of one training, or what it was refused for; parameters go to a file."""
    loaded = tiny_run.loaded(folder / "tiny.yaml", *overrides)
    run = RunFolder(folder / "runs" / name)
    try:
        said = plan_training(loaded, run).device
        train(loaded, run, Silent(), until)
    except Failure as failure:
        return {"failure": f"{failure.sentence}; {failure.hint}"}
    step = latest_step(run.checkpoints)
    assert step == until
    shapes = abstract_params(loaded.recipe.model)
    params = restore_params(run.checkpoints, step, shapes)
    leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(params)]
    np.save(folder / f"{name}.npy", np.concatenate(leaves))
    losses = [row["loss"] for row in read_metrics(run.metrics)]
    return {"device": said, "losses": losses}


if __name__ == "__main__":
    for word in sys.argv[2:]:
        name, until, overrides = word.split(":", 2)
        result = trained(Path(sys.argv[1]), name, int(until), *overrides.split())
        print(json.dumps(result), flush=True)
