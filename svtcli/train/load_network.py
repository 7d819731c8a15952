"""A trained network, loaded for sampling or scoring."""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from svtcli.failure import StorageFailed
from svtcli.model.svt import Params, for_products_in, structure
from svtcli.prepare.find_clips import clips_folder
from svtcli.recipe.schema import Precision, Recipe
from svtcli.run.directory import RunFolder
from svtcli.run.fingerprint import fingerprint, fingerprint_file
from svtcli.train.checkpoint import latest_step, restore_params, steps_in
from svtcli.train.commit_record import RECORD


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that exists; its arrays are read by `load_network`."""

    run: RunFolder
    step: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """RUN@STEP, as commands take it."""
        return f"{self.run.name}@{self.step}"

    @property
    def fingerprint(self) -> str:
        """Of every byte of the checkpoint, through its commit record."""
        place = self.run.checkpoints / str(self.step)
        return fingerprint(fingerprint_file(place / RECORD))

    @property
    def clips(self) -> Path:
        """The clips that it was trained on, as the run's recipe names them."""
        return clips_folder(self.recipe.data, self.run.name)


@dataclass(frozen=True)
class TrainedNetwork:
    """Structure and parameters, ready to be merged."""

    graphdef: nnx.GraphDef
    params: Params


def open_checkpoint(run: RunFolder, step: int | None = None) -> Checkpoint:
    """The run's checkpoint of `step`, None for the newest. Errors: StorageFailed."""
    found = latest_step(run.checkpoints) if step is None else step
    if found not in steps_in(run.checkpoints):
        place = run.checkpoints / ("" if found is None else f"{found}")
        raise StorageFailed(f"{place}: broken checkpoint: {RECORD} is missing")
    return Checkpoint(run, found, run.recipe())


def load_network(
    checkpoint: Checkpoint, precision: Precision = "float32"
) -> TrainedNetwork:
    """The network with the checkpoint's parameters, verified, or with their average
    where the recipe keeps one; what is multiplied in `precision`.

    Errors: a broken checkpoint.
    """
    graphdef, shapes = structure(checkpoint.recipe.model)
    folder = checkpoint.run.checkpoints
    part = "ema" if checkpoint.recipe.train.ema else "params"
    params = restore_params(folder, checkpoint.step, shapes, part)
    # Restored arrays are committed to their device, and so is all that comes of them:
    # a loop that feeds results back would be compiled twice, for either kind.
    # Rounded on the host: the device never holds them in float32 too.
    on_host = for_products_in(jax.tree.map(np.asarray, params), jnp.dtype(precision))
    return TrainedNetwork(graphdef, jax.tree.map(jnp.asarray, on_host))
