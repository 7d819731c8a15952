"""The softmax of eq. 3 and 4, with a gradient written down for memory's sake.

Derived by jax, its backward pass would write float32 numbers of the scores' size to sum
them up for the bias, and compute the scores a second time.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def biased_softmax(
    products: Float[Array, "*any L"], bias: Float[Array, "*some L"], scale: float
) -> Float[Array, "*any L"]:
    """softmax(scale · products + bias) over the last axis.

    In at least float32, given in the products' own precision. `bias` has as many axes
    as `products` or fewer, and is the same along those that it lacks or that are 1.
    """
    precise = products.astype(jnp.promote_types(products.dtype, jnp.float32))
    return jax.nn.softmax(precise * scale + bias).astype(products.dtype)


def _forward(products: Array, bias: Array, scale: float) -> tuple[Array, tuple]:
    weights = biased_softmax(products, bias, scale)
    return weights, (weights, bias)


def _backward(scale: float, kept: tuple, gradient: Array) -> tuple[Array, Array]:
    weights, bias = kept
    number = jnp.promote_types(weights.dtype, jnp.float32)
    weights, precise = weights.astype(number), gradient.astype(number)
    shared = (weights * precise).sum(axis=-1, keepdims=True)
    of_sums = (weights * (precise - shared)).astype(gradient.dtype)
    # Summed by a pass of its own over what is there in few bits.
    summed = jax.lax.optimization_barrier(of_sums).astype(bias.dtype)
    return of_sums * scale, _like(bias, summed)


def _like(bias: Array, gradient: Array) -> Array:
    """Summed over the axes along which `bias` was the same."""
    more = gradient.ndim - bias.ndim
    extents = (*[1] * more, *bias.shape)
    same = [
        axis
        for axis, (own, all_) in enumerate(zip(extents, gradient.shape, strict=True))
        if own != all_
    ]
    return gradient.sum(axis=same).reshape(bias.shape)


biased_softmax.defvjp(_forward, _backward)
