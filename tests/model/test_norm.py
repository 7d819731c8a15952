"""Layer norm: the hand-written gradient against JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from svtcli.model.kernels import EPSILON, LayerNorm
from svtcli.model.parameters import Keys

D = 6


def drawn(dtype: str):
    """Rows, and a norm whose scale and shift are not those of the beginning."""
    draw = np.random.default_rng(0)
    structure, state = nnx.split(LayerNorm(D, Keys(jax.random.key(0))))
    state = jax.tree.map(lambda leaf: jnp.asarray(draw.normal(size=leaf.shape)), state)
    z, weight = (jnp.asarray(3 + draw.normal(size=(4, 5, D)), dtype) for _ in range(2))
    return structure, state, z, weight


def flax_norm(by: LayerNorm, z):
    theirs = nnx.LayerNorm(D, epsilon=EPSILON, rngs=nnx.Rngs(0))
    theirs.scale, theirs.bias = nnx.Param(by.scale[...]), nnx.Param(by.bias[...])
    return theirs(z)


def test_layer_norm_and_its_gradient_are_those_of_flax():
    with jax.enable_x64(True):
        structure, state, z, weight = drawn("float64")

        def loss(of):
            return lambda state, z: (weight * of(nnx.merge(structure, state), z)).sum()

        ours, theirs = (
            jax.value_and_grad(loss(of), (0, 1))(state, z)
            for of in (lambda by, z: by(z), flax_norm)
        )
        for one, other in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_result_has_the_type_of_the_input(dtype):
    structure, state, z, weight = drawn(dtype)
    by = nnx.merge(structure, state)
    assert by(z).dtype == z.dtype
    gradients = jax.grad(
        lambda state, z: (weight * nnx.merge(structure, state)(z)).sum(), (0, 1)
    )(state, z)
    types = [leaf.dtype for leaf in jax.tree.leaves(gradients)]
    assert types == [jnp.float32, jnp.float32, z.dtype]
