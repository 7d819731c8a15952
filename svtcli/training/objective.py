"""What a recipe's training minimises: the model's loss, in the recipe's precision."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import PyTree

from svtcli.model.loss import scored_weight, training_loss
from svtcli.model.svt import Params, for_products_in
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.training.step import Loss, Scalar, Update, Weight, make_update

Gathered = Callable[[Params], Params]
"""Makes whole parameters of those that several devices keep in parts."""


def recipe_update(
    graphdef: nnx.GraphDef,
    config: Model,
    train: Train,
    gathered: Gathered = lambda params: params,
) -> Update:
    """The training step of a recipe, not yet compiled."""
    loss = objective(graphdef, config, train, gathered)
    return make_update(loss, train, scored(config, train))


def objective(
    graphdef: nnx.GraphDef,
    config: Model,
    train: Train,
    gathered: Gathered = lambda params: params,
) -> Loss:
    """The loss of a batch of slices, in the arithmetic that `train` asks for.

    Parameters and gradients are float32 always.
    """
    dtype = jnp.dtype(train.precision)

    def loss(params: Params, inputs: dict[str, Any]) -> tuple[Scalar, Scalar]:
        used = for_products_in(gathered(params), dtype)
        return training_loss(
            graphdef, used, config, train.prime, **inputs, remat=train.remat
        )

    return loss


def scored(config: Model, train: Train) -> Weight:
    """How much a part of a batch counts: by the frames that its rows score."""

    def weight(inputs: PyTree) -> Scalar:
        return scored_weight(config, train.prime, inputs["slice_index"]).sum()

    return weight
