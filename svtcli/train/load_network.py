"""A trained network, loaded for sampling or scoring."""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from svtcli.failure import StorageFailed
from svtcli.model.parameters import Params, for_products_in
from svtcli.model.svt import structure
from svtcli.prepare.find_clips import clips_folder
from svtcli.recipe.schema import Precision, Recipe
from svtcli.run.directory import RunFolder
from svtcli.run.fingerprint import fingerprint, fingerprint_file
from svtcli.train.checkpoint import restore_params
from svtcli.train.commit_record import RECORD, latest_step, steps_in


@dataclass(frozen=True)
class Checkpoint:
    """An existing checkpoint; `load_network` reads its arrays."""

    run: RunFolder
    step: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """Argument of commands: RUN@STEP."""
        return f"{self.run.name}@{self.step}"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every byte of the checkpoint, through its commit record."""
        place = self.run.checkpoints / str(self.step)
        return fingerprint(fingerprint_file(place / RECORD))

    @property
    def clips(self) -> Path:
        """Folder of the clips it was trained on, as the run's recipe names it."""
        return clips_folder(self.recipe.data, self.run.name)


@dataclass(frozen=True)
class TrainedNetwork:
    """Structure and parameters of a network."""

    graphdef: nnx.GraphDef
    params: Params


def open_checkpoint(run: RunFolder, step: int | None = None) -> Checkpoint:
    """Open the checkpoint of `step`; None for the newest. Errors: StorageFailed."""
    found = latest_step(run.checkpoints) if step is None else step
    if found not in steps_in(run.checkpoints):
        place = run.checkpoints / ("" if found is None else f"{found}")
        raise StorageFailed(f"{place}: damaged checkpoint: {RECORD} is missing")
    return Checkpoint(run, found, run.recipe())


def load_network(
    checkpoint: Checkpoint, precision: Precision = "float32"
) -> TrainedNetwork:
    """Load the checkpoint's parameters, or their average if it has one, verified.

    Weights of products are cast to `precision`. Errors: StorageFailed for a damaged
    checkpoint.
    """
    graphdef, shapes = structure(checkpoint.recipe.model)
    folder = checkpoint.run.checkpoints
    part = "ema" if checkpoint.recipe.train.ema else "params"
    params = restore_params(folder, checkpoint.step, shapes, part)
    # Restored arrays are committed to their device, and so are results computed from
    # them: a loop that feeds results back would be compiled twice. So go through the
    # host, and cast there: the device never holds them in float32 too.
    on_host = for_products_in(
        graphdef, jax.tree.map(np.asarray, params), jnp.dtype(precision)
    )
    return TrainedNetwork(graphdef, jax.tree.map(jnp.asarray, on_host))
