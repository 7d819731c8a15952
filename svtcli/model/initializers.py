"""Initial values (model.md): fan-in normal for maps, 0.02 for embeddings, zeros."""

from math import prod, sqrt

import jax
import jax.numpy as jnp
from flax import nnx


def fan_in_normal(rngs: nnx.Rngs, shape: tuple[int, ...], fan_in: int) -> nnx.Param:
    """A linear map: normal with variance 1 / fan_in."""
    if not prod(shape):
        return nnx.Param(jnp.zeros(shape))
    return nnx.Param(jax.random.normal(rngs.params(), shape) / sqrt(fan_in))


def embedding(rngs: nnx.Rngs, *shape: int) -> nnx.Param:
    """A table of learned vectors: normal with deviation 0.02."""
    return nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))


def zeros(*shape: int) -> nnx.Param:
    """A learned shift that starts at nothing."""
    return nnx.Param(jnp.zeros(shape))
