"""The two forms of attention to a cache: one reads blocks where they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.cache_attention import attend, attend_fused, can_be_fused

BOXES = [(1, 1), (2, 4), (1, 16), (2, 32)]
"""Blocks and places of a run."""


def inputs(number: int, length: int, dtype: str):
    """Runs of a batch of two, aligned as runs are, and a causal bias."""
    draw = np.random.default_rng(number * length)
    B, M, N, K, L, a = 2, 3, 5, 2, 64, 16

    def normal(*shape: int):
        return jnp.asarray(draw.normal(size=shape), dtype)

    bias = np.where(np.tri(L, dtype=bool), draw.normal(size=(K, L, L)), -np.inf)
    return (
        normal(B, M, number, K, length, a),
        normal(B, N, 2, K, L, a),
        jnp.asarray(bias, jnp.promote_types(dtype, jnp.float32)),
        jnp.asarray(draw.integers(0, N - number + 1, (B, M))),
        jnp.asarray(draw.integers(0, L // length, (B, M)) * length),
    )


@pytest.mark.parametrize(("number", "length"), BOXES)
@pytest.mark.parametrize(
    ("dtype", "within"), [("float64", 1e-12), ("float32", 1e-5), ("bfloat16", 2e-2)]
)
def test_the_kernel_gives_what_xla_gives(number, length, dtype, within):
    with jax.enable_x64(dtype == "float64"):
        given = inputs(number, length, dtype)
        assert can_be_fused(given[1])
        plain, fused = jax.jit(attend)(*given), jax.jit(attend_fused)(*given)
        assert fused.dtype == plain.dtype
        apart = jnp.abs(fused.astype(float) - plain.astype(float))
        assert apart.max() < within


@pytest.mark.parametrize(
    ("length", "size", "can"),
    [(64, 16, True), (128, 128, True), (48, 16, False), (64, 8, False), (8, 32, False)],
)
def test_only_tiles_of_a_matrix_unit_are_fused(length, size, can):
    assert can_be_fused(jnp.zeros((1, 1, 2, 1, length, size))) == can
