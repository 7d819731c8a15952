"""Softmax with a bias: the hand-written gradient against JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.kernels import biased_softmax

SHAPES = [((2, 3, 4, 5), (3, 4, 5)), ((2, 3, 4, 5), (2, 1, 4, 5)), ((6, 5), (5,))]
"""Shapes of products and bias."""


def plain(products, bias, scale):
    return jax.nn.softmax(products * scale + bias)


def drawn(products, bias, dtype):
    draw = np.random.default_rng(0)
    numbers = [
        jnp.asarray(draw.normal(size=shape), dtype) for shape in (products, bias)
    ]
    numbers[1] = numbers[1].at[..., -1].set(-jnp.inf)  # as for what comes later
    return (*numbers, jnp.asarray(draw.normal(size=products), dtype))


@pytest.mark.parametrize(("products", "bias"), SHAPES, ids=str)
def test_the_softmax_and_its_gradient_are_those_of_jax(products, bias):
    with jax.enable_x64(True):
        *given, weight = drawn(products, bias, "float64")
        found, expected = (
            jax.value_and_grad(lambda *x, f=f: (weight * f(*x, 0.3)).sum(), (0, 1))(
                *given
            )
            for f in (biased_softmax, plain)
        )
        for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_bfloat16_products_have_a_bias_whose_gradient_is_summed_in_float32():
    *given, weight = drawn((512, 4, 5), (4, 5), "float32")
    products, bias = given[0].astype(jnp.bfloat16), given[1]

    def loss(form, products):
        return lambda bias: (weight * form(products, bias, 0.3)).sum()

    found = jax.grad(loss(biased_softmax, products))(bias)
    expected = jax.grad(loss(plain, products.astype(jnp.float32)))(bias)
    assert found.dtype == jnp.float32
    # 512 rounded numbers, each within 2^-8: much nearer than a sum in bfloat16.
    assert jnp.abs(found - expected).max() < 0.01 * jnp.abs(expected).max()
