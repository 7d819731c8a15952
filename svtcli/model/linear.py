"""Linear maps as products of two matrices.

Mathematically `x @ w`. Written so because XLA's CPU backend computes the gradients of
products of higher rank several times slower; accelerators don't mind.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer


def linear(
    x: Float[Array, "*any D"], weights: Float[Array, "D E"]
) -> Float[Array, "*any E"]:
    """Each vector of `x` times the matrix."""
    return (x.reshape(-1, x.shape[-1]) @ weights).reshape(*x.shape[:-1], -1)


def sum_of_rows(
    codes: Integer[Array, "*any n"], tables: Float[Array, "n V E"]
) -> Float[Array, "*any E"]:
    """Σ over n of row `codes[n]` of table n; a code outside of it adds nothing.

    The rows are picked by a product with one-hot codes: the gradient of a look-up would
    be a slow scatter.
    """
    n, V, E = tables.shape
    one_hot = jax.nn.one_hot(codes, V, dtype=tables.dtype)
    return linear(one_hot.reshape(*codes.shape[:-1], n * V), tables.reshape(n * V, E))


def rows_at(index: Int[Array, " B"], table: Float[Array, "S E"]) -> Float[Array, "B E"]:
    """Row `index[i]` of a small table, exactly, and without a look-up as well."""
    wanted = jnp.arange(len(table)) == index[:, None]
    return jnp.where(wanted[..., None], table, 0).sum(axis=1)


def precise_product(
    x: Float[Array, "*any D"], weights: Float[Array, "D ..."]
) -> Float[Array, "..."]:
    """`x @ w` whose sums are given in at least float32, for what enters a loss."""
    precise = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(x, weights, preferred_element_type=precise)
