"""Softmax of eq. 3 and 4 with a gradient written by hand, and attention to a cache.

JAX's own backward pass of the softmax would write float32 arrays of the scores' size to
sum them up for the bias, and compute the scores twice.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from svtcli.model.kernels.products import precise


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def biased_softmax(
    products: Float[Array, "*any L"], bias: Float[Array, "*some L"], scale: float
) -> Float[Array, "*any L"]:
    """softmax(scale · products + bias) over the last axis.

    In at least float32; the result is in the type of `products`. `bias` is broadcast
    to `products`.
    """
    return jax.nn.softmax(precise(products) * scale + bias).astype(products.dtype)


def _forward(products: Array, bias: Array, scale: float) -> tuple[Array, tuple]:
    weights = biased_softmax(products, bias, scale)
    return weights, (weights, bias)


def _backward(scale: float, kept: tuple, gradient: Array) -> tuple[Array, Array]:
    weights, bias = kept
    of_weights, weights = precise(gradient), precise(weights)
    shared = (weights * of_weights).sum(axis=-1, keepdims=True)
    of_sums = (weights * (of_weights - shared)).astype(gradient.dtype)
    # Summed in a pass of its own, over an array that is stored in few bits.
    summed = jax.lax.optimization_barrier(of_sums).astype(bias.dtype)
    return of_sums * scale, _sum_to_shape(summed, bias.shape)


def _sum_to_shape(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which an array of `shape` was broadcast."""
    extents = (*[1] * (gradient.ndim - len(shape)), *shape)
    pairs = enumerate(zip(extents, gradient.shape, strict=True))
    broadcast = [axis for axis, (own, whole) in pairs if own != whole]
    return gradient.sum(axis=broadcast).reshape(shape)


biased_softmax.defvjp(_forward, _backward)


def put_boxes(
    keys_values: Float[Array, "B N 2 K L a"],
    boxes: Float[Array, "B M Nr 2 K Lr a"],
    block: Int[Array, "B M"],
    place: Int[Array, "B M"],
) -> Float[Array, "B N 2 K L a"]:
    """Return the cache with the box of each run written from `block`, `place` on."""
    rows = jnp.broadcast_to(jnp.arange(len(keys_values))[:, None], block.shape)
    return jax.lax.scatter(
        keys_values,
        jnp.stack([rows, block, place], axis=-1),
        boxes,
        jax.lax.ScatterDimensionNumbers(
            update_window_dims=(2, 3, 4, 5, 6),
            inserted_window_dims=(0,),
            scatter_dims_to_operand_dims=(0, 1, 4),
        ),
        mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )


def attend(
    q: Float[Array, "B M Nr K Lr a"],
    keys_values: Float[Array, "B N 2 K L a"],
    bias: Float[Array, "K L L"],
    block: Int[Array, "B M"],
    place: Int[Array, "B M"],
) -> Float[Array, "B M Nr K Lr a"]:
    """Attend from the box of each run, at `block`, `place`, to all of its blocks.

    The bias of its places masks later positions.
    """
    _, _, number, _, length, da = q.shape

    def blocks_of(row: Float[Array, "N 2 K L a"], at: Int[Array, ""]) -> Array:
        return jax.lax.dynamic_slice_in_dim(row, at, number, 0)

    def rows_of(at: Int[Array, ""]) -> Float[Array, "K Lr L"]:
        return jax.lax.dynamic_slice_in_dim(bias, at, length, 1)

    near = jax.vmap(jax.vmap(blocks_of, (None, 0)))(keys_values, block)
    keys, values = jnp.unstack(near, axis=3)
    scores = jnp.einsum("BMNKia,BMNKja->BMNKij", q, keys)
    own = jax.vmap(jax.vmap(rows_of))(place)
    weights = biased_softmax(scores, own[:, :, None], da**-0.5)
    return jnp.einsum("BMNKij,BMNKja->BMNKia", weights, values)
