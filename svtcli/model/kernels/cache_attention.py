"""Attention of runs of positions to a layer's cache of keys and values (eq. 3, 4).

`Blocks.run` says why a run of positions is a box of the cache: `Lr` neighbouring places
in each of `Nr` neighbouring blocks. Boxes are written and read whole.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from svtcli.model.kernels.softmax import biased_softmax


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
