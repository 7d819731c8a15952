"""What a recipe's training minimises: the model's loss, in the recipe's precision."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import PyTree

from svtcli.model.loss import in_one_piece, scored_weight, training_loss
from svtcli.model.svt import Params, for_products_in
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.mesh import Layout
from svtcli.train.step import Loss, Scalar, Update, Weight, make_update


def recipe_update(
    graphdef: nnx.GraphDef,
    config: Model,
    train: Train,
    layout: Layout | None = None,
) -> Update:
    """The training step of a recipe, not yet compiled.

    Without a `layout` it is for one device, which keeps everything.
    """
    loss = objective(graphdef, config, train, layout)
    return make_update(loss, train, scored(config, train))


def objective(
    graphdef: nnx.GraphDef,
    config: Model,
    train: Train,
    layout: Layout | None = None,
) -> Loss:
    """The loss of a batch of slices, in the arithmetic that `train` asks for.

    Parameters and gradients are float32 always.
    """
    dtype = jnp.dtype(train.precision)

    def loss(params: Params, inputs: dict[str, Any]) -> tuple[Scalar, Scalar]:
        whole = params if layout is None else layout.gathered(params)
        return training_loss(
            graphdef,
            for_products_in(whole, dtype),
            config,
            train.prime,
            **inputs,
            remat=train.remat,
            add_up=in_one_piece if layout is None else layout.add_up,
        )

    return loss


def scored(config: Model, train: Train) -> Weight:
    """How much a part of a batch counts: by the frames that its rows score."""

    def weight(inputs: PyTree) -> Scalar:
        return scored_weight(config, train.prime, inputs["slice_index"]).sum()

    return weight
