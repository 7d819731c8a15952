"""Parameters: initial values (model.md), and those that stay float32 under bfloat16."""

from math import prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from svtcli.recipe.model import Triple

Params = dict[str, Any]
"""Parameters as a plain tree of arrays, as checkpoints hold them."""


class Keys:
    """Random keys of the parameters, those of `nnx.Rngs(params=key)`.

    The count is a plain number: a traced one makes tracing quadratic in the layers.
    """

    def __init__(self, key: PRNGKeyArray) -> None:
        self._key, self._count = key, 0

    def params(self) -> PRNGKeyArray:
        """Key of the next parameter."""
        self._count += 1
        return jax.random.fold_in(self._key, self._count - 1)


class Float32Param(nnx.Param):
    """Parameter that is added, not a factor of a product: embeddings of positions and
    slices, attention biases, layer norms.

    Its gradient is a sum over a whole batch, which a short mantissa would spoil.
    """


def fan_in_normal(rngs: Keys, shape: tuple[int, ...], fan_in: int) -> nnx.Param:
    """Linear map: normal with variance 1 / fan_in.

    Of a table of codes, `fan_in` counts the rows that are added.
    """
    if not prod(shape):
        return nnx.Param(jnp.zeros(shape))
    return nnx.Param(jax.random.normal(rngs.params(), shape) / sqrt(fan_in))


def embedding(rngs: Keys, *shape: int, kind: type[nnx.Param] = nnx.Param) -> nnx.Param:
    """Table of learned vectors: normal with deviation 0.02."""
    return kind(0.02 * jax.random.normal(rngs.params(), shape))


def zero_bias(*shape: int) -> Float32Param:
    """Learned bias that starts at zero."""
    return Float32Param(jnp.zeros(shape))


class PositionEmbedding(nnx.Module):
    """Embedding of every (t, h, w): the sum of one learned vector per axis (§3.2)."""

    def __init__(self, shape: Triple, width: int, rngs: Keys) -> None:
        self.time, self.height, self.width = (
            embedding(rngs, extent, width, kind=Float32Param) for extent in shape
        )

    def __call__(self) -> Float[Array, "t h w D"]:
        return (
            self.time[:, None, None]
            + self.height[None, :, None]
            + self.width[None, None, :]
        )


def for_products_in(graphdef: nnx.GraphDef, params: Params, dtype: DTypeLike) -> Params:
    """Return the factors of products in `dtype`, every `Float32Param` unchanged."""
    model = nnx.merge(graphdef, params)
    _, added, factors = nnx.split(model, Float32Param, ...)
    factors = jax.tree.map(lambda leaf: leaf.astype(dtype), factors)
    return nnx.to_pure_dict(nnx.merge_state(added, factors))
