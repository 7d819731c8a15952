"""A trained network, loaded for sampling or scoring."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from svtcli.model.parameters import Params, for_products_in
from svtcli.model.svt import structure
from svtcli.recipe.schema import Precision
from svtcli.train.checkpoint import restore_params
from svtcli.train.commit_record import Checkpoint


@dataclass(frozen=True)
class TrainedNetwork:
    """Structure and parameters of a network."""

    graphdef: nnx.GraphDef
    params: Params


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
