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
from svtcli.train.optimizer import learning_rate, optimizer
from svtcli.train.state import State

Scalar = Float[Array, ""]
Loss = Callable[[PyTree, PyTree], tuple[Scalar, Scalar]]
"""(params, batch) -> (what is minimised, what is reported: bits/dim or nats/frame)."""


Weight = Callable[[PyTree], Scalar]
"""batch -> how much its means count beside those of other batches."""


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


LossAndGradient = Callable[[PyTree, PyTree], tuple[tuple[Scalar, Scalar], PyTree]]


def make_update(
    loss: Loss, train: Train, weight: Weight = lambda batch: jnp.ones(())
) -> Update:
    """The step for this loss and recipe; `jit_update` compiles it.

    With `train.accumulate`, `weight` says how much a part of a batch counts.
    """
    loss_and_gradient: LossAndGradient = jax.value_and_grad(loss, has_aux=True)
    if train.accumulate > 1:
        loss_and_gradient = in_parts(loss_and_gradient, train.accumulate, weight)

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
        if "ema" in state:
            average = moved_towards(state["ema"], params, 1 - train.ema)
            after["ema"] = _where(finite, average, state["ema"])
        return after, Metrics(value, score, rate, norm, finite)

    return update


def in_parts(whole: LossAndGradient, parts: int, weight: Weight) -> LossAndGradient:
    """Loss, score and gradient of a batch, one part of it after the other.

    Row r belongs to part r mod `parts`: so every part has its share of the first rows,
    which may be special, and rows stay on the devices where they are.
    """

    def loss_and_gradient(
        params: PyTree, batch: PyTree
    ) -> tuple[tuple[Scalar, Scalar], PyTree]:
        def add(sums: PyTree, part: PyTree) -> tuple[PyTree, None]:
            share = weight(part)
            found = (whole(params, part), jnp.ones(()))
            return jax.tree.map(lambda a, b: a + share * b, sums, found), None

        cut = jax.tree.map(
            lambda rows: rows.reshape(-1, parts, *rows.shape[1:]).swapaxes(0, 1), batch
        )
        nothing = ((jnp.zeros(()), jnp.zeros(())), jax.tree.map(jnp.zeros_like, params))
        (sums, count), _ = jax.lax.scan(add, (nothing, jnp.zeros(())), cut)
        means: tuple[tuple[Scalar, Scalar], PyTree] = jax.tree.map(
            lambda total: total / count, sums
        )
        return means

    return loss_and_gradient


def moved_towards(average: PyTree, new: PyTree, share: float) -> PyTree:
    """`average` with a `share` of the way to `new` behind it."""
    return jax.tree.map(lambda a, b: a + share * (b - a), average, new)


def jit_update(update: Update, state: State, batch: PyTree) -> Update:
    """`update`, compiled for these shapes; the state that goes in is given up to it.

    The new state stands where `state` stood; the metrics where its step does.
    """
    places = jax.tree.map(lambda leaf: leaf.sharding, state)
    jitted = jax.jit(update, donate_argnums=0, out_shardings=(places, places["step"]))
    return jitted.lower(state, batch).compile()


def _where(condition: Bool[Array, ""], new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
