"""One training step: `update(state, batch) -> (state, metrics)`, pure.

A non-finite loss or gradient never enters the state: parameters and optimizer stay as
they were, while `step` still advances, so that the next step sees other data and every
checkpoint is finite.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, PyTree

from svtcli.model.likelihood import on_one_device, scored_weight, training_loss
from svtcli.model.parameters import Params, for_products_in
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.mesh import Layout
from svtcli.train.state import State, learning_rate, optimizer

Scalar = Float[Array, ""]
Loss = Callable[[PyTree, PyTree], tuple[Scalar, Scalar]]
"""(params, batch) -> (minimised loss, reported score in bits/dim or nats/frame)."""
LossAndGradient = Callable[[PyTree, PyTree], tuple[tuple[Scalar, Scalar], PyTree]]
Weight = Callable[[PyTree], Scalar]
"""micro-batch -> its weight in a mean over micro-batches."""


class Metrics(NamedTuple):
    """Metrics of one step; they stay on the device until they are read."""

    loss: Scalar
    score: Scalar
    learning_rate: Scalar
    grad_norm: Scalar
    """Global norm of the gradient, before clipping."""
    finite: Bool[Array, ""]
    """False if the update was not finite and was skipped."""


Update = Callable[[State, PyTree], tuple[State, Metrics]]


def recipe_update(
    graphdef: nnx.GraphDef, config: Model, train: Train, layout: Layout | None = None
) -> Update:
    """Training step of a recipe, not yet compiled; one device without a `layout`."""
    loss = objective(graphdef, config, train, layout)
    return make_update(loss, train, micro_batch_weight(config, train))


def micro_batch_weight(config: Model, train: Train) -> Weight:
    """Weight of a micro-batch: the number of frames that its rows score."""

    def weight(inputs: PyTree) -> Scalar:
        return scored_weight(config, train.prime, inputs["slice_index"]).sum()

    return weight


def objective(
    graphdef: nnx.GraphDef, config: Model, train: Train, layout: Layout | None = None
) -> Loss:
    """Loss of a batch of slices, computed in `train.precision`.

    Parameters and gradients are always float32.
    """
    dtype = jnp.dtype(train.precision)

    def loss(params: Params, inputs: dict[str, Any]) -> tuple[Scalar, Scalar]:
        whole = params if layout is None else layout.gathered(params)
        return training_loss(
            graphdef,
            for_products_in(graphdef, whole, dtype),
            config,
            train.prime,
            **inputs,
            remat=train.remat,
            add_up=on_one_device if layout is None else layout.add_up,
        )

    return loss


def make_update(
    loss: Loss, train: Train, weight: Weight = lambda batch: jnp.ones(())
) -> Update:
    """Training step for this loss; `jit_update` compiles it.

    `weight` is that of a micro-batch, used with `train.accumulate`.
    """
    loss_and_gradient: LossAndGradient = jax.value_and_grad(loss, has_aux=True)
    if train.accumulate > 1:
        loss_and_gradient = accumulated(loss_and_gradient, train.accumulate, weight)

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


def accumulated(whole: LossAndGradient, count: int, weight: Weight) -> LossAndGradient:
    """Loss, score and gradient of a batch, computed over `count` micro-batches.

    Row r belongs to micro-batch r mod `count`: each gets its share of the first rows,
    which may be first slices (§4.3), and rows stay on their devices.
    """

    def loss_and_gradient(
        params: PyTree, batch: PyTree
    ) -> tuple[tuple[Scalar, Scalar], PyTree]:
        def add(sums: PyTree, rows: PyTree) -> tuple[PyTree, None]:
            share = weight(rows)
            found = (whole(params, rows), jnp.ones(()))
            return jax.tree.map(lambda a, b: a + share * b, sums, found), None

        micro_batches = jax.tree.map(
            lambda rows: rows.reshape(-1, count, *rows.shape[1:]).swapaxes(0, 1), batch
        )
        zero = ((jnp.zeros(()), jnp.zeros(())), jax.tree.map(jnp.zeros_like, params))
        (sums, total), _ = jax.lax.scan(add, (zero, jnp.zeros(())), micro_batches)
        means: tuple[tuple[Scalar, Scalar], PyTree] = jax.tree.map(
            lambda each: each / total, sums
        )
        return means

    return loss_and_gradient


def moved_towards(average: PyTree, new: PyTree, share: float) -> PyTree:
    """`average` moved by `share` of the way to `new`."""
    return jax.tree.map(lambda a, b: a + share * (b - a), average, new)


def jit_update(update: Update, state: State, batch: PyTree) -> Update:
    """Compile `update` for these shapes and devices; it donates its state.

    The new state is placed as `state` is, the metrics as its step is.
    """
    places = jax.tree.map(lambda leaf: leaf.sharding, state)
    jitted = jax.jit(update, donate_argnums=0, out_shardings=(places, places["step"]))
    return jitted.lower(state, batch).compile()


def _where(condition: Bool[Array, ""], new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
