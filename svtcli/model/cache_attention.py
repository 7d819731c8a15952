"""How runs of positions attend to blocks of a layer's cache (eq. 3 and 4).

A run's box of Lr places in each of Nr blocks attends to all that these blocks hold,
with the bias of its places, which hides what comes later. Two forms of the same:
`attend` in terms of XLA, which copies whole blocks for every run before it multiplies;
`attend_fused` as one kernel (Pallas, Triton) that reads blocks where they are.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from svtcli.model.kernels.softmax import biased_softmax

LEAST = 16
"""Rows and columns of a tile that a GPU's matrix unit multiplies, at least."""


def attend(
    q: Float[Array, "B M Nr K Lr a"],
    keys_values: Float[Array, "B N 2 K L a"],
    bias: Float[Array, "K L L"],
    block: Int[Array, "B M"],
    place: Int[Array, "B M"],
) -> Float[Array, "B M Nr K Lr a"]:
    """The runs whose boxes begin at `block` and `place`."""
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


def can_be_fused(keys_values: Float[Array, "B N 2 K L a"]) -> bool:
    """Whether blocks and heads are such that Triton has tiles for them."""
    return all(
        extent >= LEAST and extent & (extent - 1) == 0
        for extent in keys_values.shape[-2:]
    )


def attend_fused(
    q: Float[Array, "B M Nr K Lr a"],
    keys_values: Float[Array, "B N 2 K L a"],
    bias: Float[Array, "K L L"],
    block: Int[Array, "B M"],
    place: Int[Array, "B M"],
) -> Float[Array, "B M Nr K Lr a"]:
    """As `attend`, for blocks that `can_be_fused`; on a CPU interpreted, to try it."""
    given = (q, keys_values, bias, block.astype(jnp.int32), place.astype(jnp.int32))
    return jax.lax.platform_dependent(
        *given,
        cpu=partial(_as_kernel, interpret=True),
        default=partial(_as_kernel, interpret=False),
    )


def _as_kernel(
    q: Array, keys_values: Array, bias: Array, block: Array, place: Array,
    *, interpret: bool,
) -> Array:  # fmt: skip
    """A program for each block of each run and each head."""
    from jax.experimental import pallas  # a tenth of a second for who needs no kernel
    from jax.experimental.pallas import triton

    B, M, number, K, _, _ = q.shape
    return pallas.pallas_call(
        _attend_to_one_block,
        grid=(B * M * number, K),
        out_shape=jax.ShapeDtypeStruct(q.shape, q.dtype),
        compiler_params=None if interpret else triton.CompilerParams(num_warps=4),
        interpret=interpret,
        name="attend",
    )(q, keys_values, bias, block, place)


def _attend_to_one_block(q_ref, kv_ref, bias_ref, block_ref, place_ref, out_ref):  # type: ignore[no-untyped-def]
    """The kernel. Rows that fill a tile up repeat the last one, and write the same."""
    from jax.experimental import pallas

    _, M, number, _, length, da = q_ref.shape
    box, k = pallas.program_id(0), pallas.program_id(1)
    run, n = box // number, box % number
    b, m = run // M, run % M
    rows = jax.lax.broadcasted_iota(jnp.int32, (max(LEAST, length),), 0)
    rows = jnp.minimum(rows, length - 1)
    here = block_ref[b, m] + n
    precise = jnp.promote_types(q_ref.dtype, jnp.float32)

    q, keys = q_ref[b, m, n, k, rows, :], kv_ref[b, here, 0, k]
    scores = jnp.dot(q, keys.T, preferred_element_type=precise) * da**-0.5
    scores = scores + bias_ref[k, place_ref[b, m] + rows, :]
    weights = jnp.exp(scores - scores.max(axis=1)[:, None])
    weights = weights / weights.sum(axis=1)[:, None]
    values = kv_ref[b, here, 1, k]
    attended = jnp.dot(
        weights.astype(values.dtype), values, preferred_element_type=precise
    )
    out_ref[b, m, n, k, rows, :] = attended.astype(out_ref.dtype)
