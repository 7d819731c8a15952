"""Softmax of eq. 3 and 4, with a gradient written by hand to save memory.

JAX's own backward pass would write float32 arrays of the scores' size to sum them up
for the bias, and compute the scores twice.
"""

from functools import partial

import jax
from jaxtyping import Array, Float

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
