"""Layer normalisation (eq. 2, 6), with a gradient written by hand to save memory."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from svtcli.model.parameters import Float32Param

EPSILON = 1e-6
"""Added to the variance."""


class LayerNorm(nnx.Module):
    """Layer normalisation in at least float32; the result is in the input's type."""

    def __init__(self, d: int, rngs: nnx.Rngs) -> None:
        for _ in range(2):  # as flax: other parameters' initial values depend on it
            rngs.params()
        self.scale = Float32Param(jnp.ones(d, jnp.float32))
        self.bias = Float32Param(jnp.zeros(d, jnp.float32))

    def __call__(self, z: Float[Array, "*any D"]) -> Float[Array, "*any D"]:
        return _normed(z, self.scale[...], self.bias[...])


@jax.custom_vjp
def _normed(
    z: Float[Array, "*any D"], scale: Float[Array, " D"], shift: Float[Array, " D"]
) -> Float[Array, "*any D"]:
    """γ·(z − mean) / √(variance + ε) + β over the last axis.

    JAX's own gradient has XLA write float32 arrays of `z`'s size just to sum them up
    for γ and β.
    """
    return _norm_forward(z, scale, shift)[0]


def _norm_forward(z: Array, scale: Array, shift: Array) -> tuple[Array, tuple]:
    number = jnp.promote_types(z.dtype, jnp.float32)
    precise = z.astype(jnp.promote_types(number, scale.dtype))
    mean = precise.mean(axis=-1, keepdims=True)
    centred = precise - mean
    inverse = jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
    normed = (centred * inverse * scale + shift).astype(z.dtype)
    return normed, (z, mean, inverse, scale)


def _norm_backward(kept: tuple, gradient: Array) -> tuple[Array, Array, Array]:
    z, mean, inverse, scale = kept
    number = mean.dtype

    def hat(z: Array) -> Array:
        return (z.astype(number) - mean) * inverse

    of_hat = gradient.astype(number) * scale
    along = (of_hat * hat(z)).mean(axis=-1, keepdims=True)
    of_z = inverse * (of_hat - of_hat.mean(axis=-1, keepdims=True) - hat(z) * along)
    # Sums over rows in a pass of their own, over arrays that are stored in few bits.
    z, gradient = jax.lax.optimization_barrier((z, gradient))
    rows, gradient = tuple(range(z.ndim - 1)), gradient.astype(number)
    of_scale, of_shift = (gradient * hat(z)).sum(axis=rows), gradient.sum(axis=rows)
    return (
        of_z.astype(z.dtype),
        of_scale.astype(scale.dtype),
        of_shift.astype(scale.dtype),
    )


_normed.defvjp(_norm_forward, _norm_backward)
