"""Sum over devices whose rows are of two kinds: each device computes only its own.

The first rows of a batch are first slices with a decoder of their own (§4.3), so they
lie on the first devices only: with the paper's 256 slices on 128 devices, 16 of them on
8. XLA would give every device a part of either kind, padded to whole rows, and so more
rows than it has, and move rows for it. Here rows stay in place; a device computes first
slices, other slices, or both. Only the sums are communicated.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, PyTree

SumOfRows = Callable[[int, PyTree, PyTree], Float[Array, ""]]
"""(n, params, rows) -> a sum over rows, the first n of which are first slices."""


def first_of_each(first: int, rows: int, devices: int) -> tuple[int, ...]:
    """Number of each device's rows that are among the `first` ones of all `rows`."""
    own = rows // devices
    return tuple(min(max(first - i * own, 0), own) for i in range(devices))


def sum_mixed_rows(
    mesh: jax.sharding.Mesh, nll: SumOfRows, first: int, params: PyTree, rows: PyTree
) -> Float[Array, ""]:
    """`nll(first, params, rows)`, for rows that are sharded over all of `mesh`.

    Differentiable in `params`, which are replicated. The gradient is computed together
    with the value: kept apart, a device would reserve memory for the residuals of all
    branches.
    """
    size = jax.tree.leaves(rows)[0].shape[0]
    each = first_of_each(first, size, mesh.size)
    kinds = sorted(set(each))
    branch = np.array([kinds.index(of_device) for of_device in each])
    axes = mesh.axis_names

    def everywhere(function: Callable[..., PyTree]) -> Callable[..., Any]:
        """Sum of `function` over all devices, each in the branch of its kind."""
        branches = [partial(function, kind) for kind in kinds]

        def here(params: PyTree, rows: PyTree) -> PyTree:
            number = jnp.asarray(branch)[jax.lax.axis_index(axes)]
            return jax.lax.psum(jax.lax.switch(number, branches, params, rows), axes)

        whole, by_row = PartitionSpec(), PartitionSpec(axes)
        # Unchecked: a check would put sums of gradients in branches, where not all
        # devices take part.
        return jax.shard_map(
            here, mesh=mesh, in_specs=(whole, by_row), out_specs=whole, check_vma=False
        )

    @jax.custom_vjp
    def total(params: PyTree, rows: PyTree) -> Float[Array, ""]:
        value: Float[Array, ""] = everywhere(nll)(params, rows)
        return value

    def forward(params: PyTree, rows: PyTree) -> tuple[Float[Array, ""], PyTree]:
        both = everywhere(jax.value_and_grad(nll, argnums=1))
        value, gradient = both(params, rows)
        return value, gradient

    def backward(gradient: PyTree, share: Float[Array, ""]) -> tuple[PyTree, None]:
        return jax.tree.map(lambda g: (share * g).astype(g.dtype), gradient), None

    total.defvjp(forward, backward)
    value: Float[Array, ""] = total(params, rows)
    return value
