"""Layer normalisation (eq. 2, 6), with a gradient written down for memory's sake."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

EPSILON = 1e-6
"""Added to the variance."""


def layer_norm(d: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Layer normalisation over the hidden width; `norm` applies it."""
    return nnx.LayerNorm(d, epsilon=EPSILON, rngs=rngs)


def norm(by: nnx.LayerNorm, z: Float[Array, "*any D"]) -> Float[Array, "*any D"]:
    """`z` normalised in at least float32, and given in its own precision."""
    return _normed(z, by.scale[...], by.bias[...])


@jax.custom_vjp
def _normed(
    z: Float[Array, "*any D"], scale: Float[Array, " D"], shift: Float[Array, " D"]
) -> Float[Array, "*any D"]:
    """γ·(z − mean) / √(variance + ε) + β over the last axis.

    Its gradient is written down for the sake of memory traffic: derived by jax, it has
    XLA write numbers of `z`'s size in float32 just to sum them up for γ and β.
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
    # Sums over rows, by a pass of their own over what is there in few bits.
    z, gradient = jax.lax.optimization_barrier((z, gradient))
    rows, gradient = tuple(range(z.ndim - 1)), gradient.astype(number)
    of_scale, of_shift = (gradient * hat(z)).sum(axis=rows), gradient.sum(axis=rows)
    return (
        of_z.astype(z.dtype),
        of_scale.astype(scale.dtype),
        of_shift.astype(scale.dtype),
    )


_normed.defvjp(_norm_forward, _norm_backward)
