"""Hand-written gradients and memory layouts that make the model fast.

Linear maps and table look-ups are products of two matrices: XLA's CPU backend computes
gradients of products of higher rank several times slower, and the gradient of a look-up
is a scatter: slow, and in an undefined order on GPUs.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Integer

from svtcli.model.parameters import Float32Param, Keys

EPSILON = 1e-6
"""Added to the variance."""


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


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def biased_softmax(
    products: Float[Array, "*any L"], bias: Float[Array, "*some L"], scale: float
) -> Float[Array, "*any L"]:
    """softmax(scale · products + bias) over the last axis.

    In at least float32; the result is in the type of `products`. `bias` is broadcast
    to `products`. JAX's own backward pass would write float32 arrays of the scores'
    size to sum them up for the bias, and compute the scores twice.
    """
    return jax.nn.softmax(precise(products) * scale + bias).astype(products.dtype)


def _softmax_forward(products: Array, bias: Array, scale: float) -> tuple[Array, tuple]:
    weights = biased_softmax(products, bias, scale)
    return weights, (weights, bias)


def _softmax_backward(
    scale: float, kept: tuple, gradient: Array
) -> tuple[Array, Array]:
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


biased_softmax.defvjp(_softmax_forward, _softmax_backward)


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


class LayerNorm(nnx.Module):
    """Layer normalisation (eq. 2, 6), in at least float32; the result has z's type."""

    def __init__(self, d: int, rngs: Keys) -> None:
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
    wide = z.astype(jnp.promote_types(number, scale.dtype))
    mean = wide.mean(axis=-1, keepdims=True)
    centred = wide - mean
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


def apply_remat(
    layer: nnx.Module, z: Float[Array, "B t h w D"]
) -> Float[Array, "B t h w D"]:
    """Apply a layer that returns its result first; compute it again going backward."""
    structure, params = nnx.split(layer)
    return _rematerialised(structure, params, z)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _rematerialised(structure: nnx.GraphDef, params: nnx.State, z: Array) -> Array:
    """Variant of `jax.checkpoint` whose second forward pass waits for the gradient.

    On CPUs XLA drops the barriers of `jax.checkpoint`, runs all second passes early,
    and so keeps every activation after all.
    """
    return _layer_output(structure, params, z)


def _layer_output(structure: nnx.GraphDef, params: nnx.State, z: Array) -> Array:
    return nnx.merge(structure, params)(z)[0]


def _keep_input(structure: nnx.GraphDef, params: nnx.State, z: Array) -> Any:
    return _rematerialised(structure, params, z), (params, z)


def _layer_gradient(structure: nnx.GraphDef, kept: Any, gradient: Array) -> Any:
    params, z = kept
    wait = 0 * gradient[:, :1, :1, :1, :1]
    _, back = jax.vjp(partial(_layer_output, structure), params, z + wait)
    return back(gradient)


_rematerialised.defvjp(_keep_input, _layer_gradient)
