"""One training step: `update(state, batch) -> (state, metrics)`, pure.

A loss or gradient that is not finite never enters the state: parameters and optimizer
stay as they were, while `step` still advances, so that the next step sees other data
and every checkpoint is finite.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from svtcli.recipe.schema import Train
from svtcli.training.optimizer import learning_rate, optimizer
from svtcli.training.state import State

Scalar = Float[Array, ""]
Loss = Callable[[PyTree, PyTree], tuple[Scalar, Scalar]]
"""(params, batch) -> (what is minimised, what is reported: bits/dim or nats/frame)."""


class Metrics(NamedTuple):
    """What one step says about itself; stays on the device until it is read."""

    loss: Scalar
    score: Scalar
    learning_rate: Scalar
    grad_norm: Scalar
    """Global norm of the gradient, before clipping."""
    finite: Bool[Array, ""]
    """Whether this step's update entered the state."""


Update = Callable[[State, PyTree], tuple[State, Metrics]]


def make_update(loss: Loss, train: Train) -> Update:
    """The step for this loss and recipe; `jit_update` compiles it."""
    loss_and_gradient = jax.value_and_grad(loss, has_aux=True)

    def update(state: State, batch: PyTree) -> tuple[State, Metrics]:
        (value, score), gradient = loss_and_gradient(state["params"], batch)
        norm = optax.tree.norm(gradient)
        finite = jnp.isfinite(value) & jnp.isfinite(norm)

        rate = learning_rate(train, state["step"])
        change, opt = optimizer(train, rate).update(
            gradient, state["opt"], state["params"]
        )
        params = optax.apply_updates(state["params"], change)

        after = State(
            params=_where(finite, params, state["params"]),
            opt=_where(finite, opt, state["opt"]),
            step=state["step"] + 1,
        )
        return after, Metrics(value, score, rate, norm, finite)

    return update


def jit_update(update: Update, state: State, batch: PyTree) -> Update:
    """`update`, compiled for these shapes; the state that goes in is given up to it."""
    return jax.jit(update, donate_argnums=0).lower(state, batch).compile()


def _where(condition: Bool[Array, ""], new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
