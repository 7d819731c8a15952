"""Linear maps and table look-ups as products of two matrices.

XLA's CPU backend computes gradients of products of higher rank several times slower,
and the gradient of a look-up is a scatter: slow, and in an undefined order on GPUs.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer


def linear(
    x: Float[Array, "*any D"], weights: Float[Array, "D E"]
) -> Float[Array, "*any E"]:
    """Return `x @ weights`."""
    return (x.reshape(-1, x.shape[-1]) @ weights).reshape(*x.shape[:-1], -1)


def sum_of_rows(
    codes: Integer[Array, "*any n"], tables: Float[Array, "n V E"]
) -> Float[Array, "*any E"]:
    """Σ over n of row `codes[n]` of table n; a code ≥ V adds nothing."""
    n, V, E = tables.shape
    one_hot = jax.nn.one_hot(codes, V, dtype=tables.dtype)
    return linear(one_hot.reshape(*codes.shape[:-1], n * V), tables.reshape(n * V, E))


def rows_at(index: Int[Array, " B"], table: Float[Array, "S E"]) -> Float[Array, "B E"]:
    """Row `index[i]` of a small table, exactly."""
    wanted = jnp.arange(len(table)) == index[:, None]
    return jnp.where(wanted[..., None], table, 0).sum(axis=1)


def precise_product(
    x: Float[Array, "*any D"], weights: Float[Array, "D ..."]
) -> Float[Array, "..."]:
    """Return `x @ weights` in at least float32, for logits."""
    number = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(x, weights, preferred_element_type=number)


def precise(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return `x` in at least float32."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
