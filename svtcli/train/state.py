"""Training state, a plain pytree of arrays.

params  the model's parameters, float32, nested dict
opt     the optimizer's state
step    int32: number of batches seen, and so the position in the data
ema     only with `train.ema`: a running average of the parameters, used for sampling
        and scoring; it starts at the first parameters
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
    """State before the first step."""
    opt = optimizer(train, rate=0.0).init(params)
    state = State(params=params, opt=opt, step=jnp.zeros((), jnp.int32))
    if train.ema:
        # Arrays of its own: the step donates its state, and no array twice.
        state["ema"] = jax.tree.map(jnp.copy, params)
    return state


def used_params(state: State) -> PyTree:
    """Parameters for sampling and scoring: the average if the state has one."""
    return state.get("ema", state["params"])


def abstract_state(params: PyTree, train: Train) -> State:
    """Shapes, dtypes and devices of the state for `params`, which may be abstract."""
    shapes = jax.eval_shape(lambda params: first_state(params, train), params)
    return placed(shapes)


def placed(shapes: PyTree) -> PyTree:
    """Abstract arrays, on jax's default device unless they name a sharding."""
    default = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=leaf.sharding or default
        ),
        shapes,
    )
