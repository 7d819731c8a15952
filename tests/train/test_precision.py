"""bfloat16 products with float32 around them: `train.precision`."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.likelihood import training_loss
from svtcli.model.parameters import for_products_in
from svtcli.model.subscale import codes_from_video
from svtcli.model.svt import network
from svtcli.model.windows import slice_choices
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.state import first_state
from svtcli.train.step import jit_update, make_update
from tests.products import equations
from tests.tiny import VARIANTS, network_of, random_actions, random_video

BATCH = 6
SENSITIVE = {
    "exp", "exp2", "log", "log1p", "logistic", "tanh", "rsqrt", "sqrt", "div",
    "integer_pow", "square", "reduce_sum", "reduce_max", "argmax", "cumsum",
    "scatter-add", "scatter_add",
}  # fmt: skip
"""Primitives of norms, softmax, losses and sums over many numbers."""

SLOW = (
    *("wide context kernel", "wide masked kernel", "heads by layer", "rgb"),
    *("spatial", "single frame", "dilated", "actions"),
    *("spatiotemporal", "frame by frame in spatial slices"),
)
"""Variants whose layers the fast tests of other variants cover."""
WITH_SOME_SLOW = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in VARIANTS
]


ADDED = {
    *("positions", "slice_embedding", "relative_bias"),
    *("attention_norm", "map_norm", "norm"),
}
"""Parameters that are never factors of a matrix product."""


def inputs_of(config: Model) -> dict[str, object]:
    choices = slice_choices(config, 1, BATCH)
    index = [choice[row % len(choice)] for row, choice in enumerate(choices)]
    return {
        "video": random_video(config, BATCH),
        "slice_index": jnp.asarray(index, jnp.int32),
        "actions": random_actions(config, BATCH),
    }


def loss_in(dtype, config: Model, graphdef):
    def loss(params, inputs):
        used = for_products_in(graphdef, params, dtype)
        return training_loss(graphdef, used, config, 1, **inputs)

    return loss


@pytest.mark.parametrize("name", WITH_SOME_SLOW)
def test_a_bfloat16_loss_and_gradient_equal_those_of_float32_up_to_rounding(
    name: str,
) -> None:
    # Random networks as narrow as the others here blow rounding up to tens of percent.
    config = replace(VARIANTS[name], d=64, de=64)
    graphdef, params = network_of(config)
    inputs = inputs_of(config)
    results = [
        jax.jit(jax.value_and_grad(loss_in(dtype, config, graphdef), has_aux=True))(
            params, inputs
        )
        for dtype in (jnp.float32, jnp.bfloat16)
    ]
    ((precise, _), gradient), ((rounded, _), other) = results
    assert abs(rounded - precise) < 0.01 * precise
    assert rounded != precise
    assert rounded.dtype == jnp.float32
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(other))
    whole, near = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
        for tree in (gradient, other)
    )
    assert np.linalg.norm(near - whole) < 0.1 * np.linalg.norm(whole)


@pytest.mark.parametrize("name", VARIANTS)
def test_only_products_and_activations_are_in_bfloat16(name: str) -> None:
    config = VARIANTS[name]
    graphdef, params = network_of(config)
    step = jax.grad(loss_in(jnp.bfloat16, config, graphdef), has_aux=True)
    traced = jax.make_jaxpr(step)(params, inputs_of(config))
    primitives = set()
    for equation, _ in equations(traced.jaxpr):
        primitives.add(equation.primitive.name)
        types = {getattr(v.aval, "dtype", None) for v in equation.invars}
        if equation.primitive.name in SENSITIVE:
            assert jnp.dtype(jnp.bfloat16) not in types, equation
    assert {"exp", "reduce_sum", "reduce_max", "rsqrt", "log"} & primitives


@pytest.mark.parametrize("name", VARIANTS)
def test_every_forward_product_is_of_bfloat16_factors(name: str) -> None:
    config = VARIANTS[name]
    graphdef, params = network_of(config)
    loss = loss_in(jnp.bfloat16, config, graphdef)
    traced = jax.make_jaxpr(loss)(params, inputs_of(config))
    products = [
        equation
        for equation, _ in equations(traced.jaxpr)
        if equation.primitive.name == "dot_general"
    ]
    assert products
    for product in products:
        assert {factor.aval.dtype for factor in product.invars} == {
            jnp.dtype(jnp.bfloat16)
        }


@pytest.mark.parametrize("name", VARIANTS)
def test_only_factors_of_products_lose_precision(name: str) -> None:
    graphdef, params = network_of(VARIANTS[name])
    cast = for_products_in(graphdef, params, jnp.bfloat16)
    for path, leaf in jax.tree_util.tree_leaves_with_path(cast):
        added = ADDED & {key.key for key in path}
        assert leaf.dtype == (jnp.float32 if added else jnp.bfloat16), path
    same = for_products_in(graphdef, params, jnp.float32)
    for one, other in zip(jax.tree.leaves(same), jax.tree.leaves(params), strict=True):
        assert one is other


def test_steps_in_bfloat16_lower_the_loss_and_keep_a_float32_state() -> None:
    config = VARIANTS["spatiotemporal"]
    train = Train(learning_rate=3e-3, steps=40)
    graphdef, params = network_of(config)
    state, inputs = first_state(params, train), inputs_of(config)
    loss = loss_in(jnp.bfloat16, config, graphdef)
    update = jit_update(make_update(loss, train), state, inputs)
    losses = []
    for _ in range(40):
        state, metrics = update(state, inputs)
        losses.append(float(metrics.loss))
    assert losses[-1] < 0.9 * losses[0]
    floats = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("name", ["rgb", "deterministic"])
def test_logits_are_sums_in_float32(name: str) -> None:
    config = VARIANTS[name]
    graphdef, params = network_of(config)
    inputs = inputs_of(config)
    codes = codes_from_video(inputs["video"], config)
    model = network(graphdef, for_products_in(graphdef, params, jnp.bfloat16))
    logits = jax.eval_shape(model, codes, inputs["slice_index"])
    assert logits.dtype == jnp.float32
