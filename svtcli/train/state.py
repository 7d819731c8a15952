"""Everything that a training run is: a plain pytree of arrays.

params  the model's parameters, float32, nested dict
opt     the optimizer's state
step    int32: how many batches were seen, and so the position in the data
ema     with `train.ema` only: a running average of the parameters, which is what
        samples and scores; it starts at the first parameters
"""

from typing import NotRequired, TypedDict

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from svtcli.recipe.schema import Train
from svtcli.train.optimizer import optimizer


class State(TypedDict):
    """A plain dict at run time; the names are for readers and checkers."""

    params: PyTree
    opt: PyTree
    step: Int[Array, ""]
    ema: NotRequired[PyTree]


def first_state(params: PyTree, train: Train) -> State:
    """The state before the first step."""
    opt = optimizer(train, rate=0.0).init(params)
    state = State(params=params, opt=opt, step=jnp.zeros((), jnp.int32))
    if train.ema:
        # Arrays of its own: the step gives up its state, and nothing is given up twice.
        state["ema"] = jax.tree.map(jnp.copy, params)
    return state


def used_params(state: State) -> PyTree:
    """What samples and scores: the average where one is kept, else the parameters."""
    return state.get("ema", state["params"])


def abstract_state(params: PyTree, train: Train) -> State:
    """Shapes, dtypes and places of the state that belongs to `params`; no arrays.

    `params` may be abstract itself.
    """
    shapes = jax.eval_shape(lambda params: first_state(params, train), params)
    return placed(shapes)


def placed(shapes: PyTree) -> PyTree:
    """The same shapes; those without a place stand whole on jax's default device."""
    default = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=leaf.sharding or default
        ),
        shapes,
    )
