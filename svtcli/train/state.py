"""Training state, and the optimizer that changes it (§4.1).

The state is a plain pytree of arrays:

params  the model's parameters, float32, nested dict
opt     the optimizer's state
step    int32: number of batches seen, and so the position in the data
ema     only with `train.ema`: a running average of the parameters, used for sampling
        and scoring; it starts at the first parameters

The learning rate is a function of the step and is passed in, so that the optimizer's
state holds no counter of its own, which a skipped step could put out of line.
"""

from typing import NotRequired, TypedDict

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from svtcli.recipe.schema import Train

Scalar = Float[Array, ""]


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


def learning_rate(train: Train, step: Int[Array, ""] | int) -> Scalar:
    """Learning rate of `step` (from 0): linear warm-up, constant phase, decay.

    Warm-up scales step i by (i + 1) / warmup, so that no step has rate zero; a decay
    reaches zero at `steps`. The decay of `wsd` (warm-up, stable, decay: Hu et al. 2024,
    arXiv 2404.06395) is 1 − √x, which Hägele et al. (2024, arXiv 2405.18392) found
    better than a straight line.
    """
    rate = jnp.asarray(train.learning_rate, jnp.float32)
    if (start := train.decay_start) is not None:
        past = jnp.minimum(jnp.maximum(step - start, 0) / (train.steps - start), 1.0)
        if train.schedule == "cosine":
            rate = rate * 0.5 * (1 + jnp.cos(jnp.pi * past))
        else:
            rate = rate * (1 - jnp.sqrt(past))
    if train.warmup:
        rate = rate * jnp.minimum((step + 1) / train.warmup, 1.0)
    return rate


def optimizer(train: Train, rate: Scalar | float) -> optax.GradientTransformation:
    """RMSProp, Adam or AdamW at learning rate `rate`, after clipping if asked for.

    RMSProp is TF1's: ms ← ρ ms + (1−ρ) g², ms₀ = 1; m ← μ m + rate · g / √(ms + ε).
    The shape of the optimizer's state depends on `train` only, never on `rate`.
    """
    match train.optimizer:
        case "rmsprop":
            update = optax.rmsprop(
                rate,
                decay=train.decay,
                eps=train.epsilon,
                # optax starts at 0, with a first update thousands of times larger.
                initial_scale=1.0,
                momentum=train.momentum or None,
            )
        case "adam":
            update = optax.adam(
                rate, b1=train.momentum, b2=train.decay, eps=train.epsilon
            )
        case "adamw":
            update = optax.adamw(
                rate,
                b1=train.momentum,
                b2=train.decay,
                eps=train.epsilon,
                weight_decay=train.weight_decay,
            )
    if train.clip_norm is None:
        return update
    return optax.chain(optax.clip_by_global_norm(train.clip_norm), update)
