"""A model small enough to check by hand: y = x · w, squared error."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from svtcli.recipe.schema import Train
from svtcli.train.state import State, first_state

TRAIN = Train(learning_rate=0.01, steps=20, batch=4, save_every=5, log_every=1)


def loss(params: Any, batch: Any) -> tuple[jax.Array, jax.Array]:
    error = batch["x"] @ params["layer"]["w"] - batch["y"]
    return jnp.mean(error**2), jnp.mean(jnp.abs(error))


def params() -> dict[str, Any]:
    w = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    return {"layer": {"w": jnp.asarray(w)}, "bias": jnp.zeros(())}


def batch(step: int, poison: float = 0.0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng([5, step])
    x = draw.normal(size=(4, 3)).astype(np.float32)
    return {"x": x + np.float32(poison), "y": x[:, :2]}


def state(train: Train = TRAIN) -> State:
    return first_state(params(), train)


def arrays(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(one: Any, other: Any) -> bool:
    """Bit for bit, structure too."""
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(arrays(one), arrays(other), strict=True)
    )
