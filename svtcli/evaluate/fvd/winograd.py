"""Winograd's convolution with 3×3 kernels, for CPUs: a quarter of the products.

F(4×4, 3×3) of Lavin & Gray 2016, §4.3 (https://arxiv.org/abs/1509.09308): tiles of 6×6
pixels and the kernel are transformed, multiplied point by point, which is one matrix
product of channels for each of 36 points, and transformed back to 4×4 results.

One frame at a time: its transformed tiles stay in the processor's cache.
"""

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TILE = 4
"""Height and width of a tile of results."""
_PIXELS = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float64,
)
_KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
_RESULTS = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ],
    np.float64,
)


def convolve(
    frames: Float[Array, "N H W C"], kernel: Float[Array, "3 3 C O"]
) -> Float[Array, "N H W O"]:
    """Convolution with SAME padding, in float32."""
    rows = _combine(_KERNEL, list(kernel))
    transformed = _combine(_KERNEL, [rows[:, k] for k in range(3)])
    return lax.map(partial(_frame, transformed), frames)


def _frame(
    kernel: Float[Array, "6 6 C O"], frame: Float[Array, "H W C"]
) -> Float[Array, "H W O"]:
    H, W, _ = frame.shape
    down, across = -(-H // TILE), -(-W // TILE)
    after = [1 + TILE * down - H, 1 + TILE * across - W]
    padded = jnp.pad(frame, ((1, after[0]), (1, after[1]), (0, 0)))
    rows = _combine(_PIXELS, [_every(padded, 0, k, down) for k in range(6)])
    tiles = _combine(_PIXELS, [_every(rows, 2, k, across) for k in range(6)])
    products = jnp.einsum(
        "bayxc,baco->bayxo", tiles, kernel, precision=lax.Precision.HIGHEST
    )
    columns = _combine(_RESULTS, list(products), axis=3)  # [6, down, across, 4, O]
    results = _combine(_RESULTS, list(columns), axis=1)  # [down, 4, across, 4, O]
    return results.reshape(TILE * down, TILE * across, -1)[:H, :W]


def _every(x: Float[Array, "..."], axis: int, first: int, tiles: int) -> Array:
    """Pixel `first` of each tile along an axis."""
    last = first + TILE * (tiles - 1)
    return lax.slice_in_dim(x, first, last + 1, TILE, axis)


def _combine(
    matrix: Float[np.ndarray, "R K"], parts: Sequence[Array], axis: int = 0
) -> Array:
    """Product of a small matrix with `parts`, stacked, as sums that XLA fuses."""
    rows = [
        sum(float(x) * part for x, part in zip(row, parts, strict=True) if x)
        for row in matrix
    ]
    return jnp.stack(rows, axis)
