"""Memory movement of a training step: few transposes, no look-ups."""

from collections import Counter
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from svtcli.model.likelihood import training_loss
from svtcli.model.svt import structure
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.state import abstract_state
from svtcli.train.step import recipe_update
from tests.products import equations
from tests.tiny import VARIANTS
from tests.train.test_precision import BATCH, inputs_of

LOOK_UPS = {
    "gather", "scatter", "scatter-add", "scatter_add", "dynamic_slice",
    "dynamic_update_slice",
}  # fmt: skip


def step_of(config: Model, train: Train):
    """The jaxpr of a whole training step."""
    graphdef, shapes = structure(config)
    update = recipe_update(graphdef, config, train)
    state = abstract_state(shapes, train)
    return jax.make_jaxpr(update)(state, inputs_of(config)).jaxpr


def forward_of(config: Model):
    graphdef, shapes = structure(config)

    def loss(params, inputs):
        return training_loss(graphdef, params, config, 1, **inputs)

    return jax.make_jaxpr(loss)(shapes, inputs_of(config)).jaxpr


def moved(jaxpr) -> Counter:
    """Number of floating-point arrays that are transposed, by number of axes."""
    return Counter(
        equation.invars[0].aval.ndim
        for equation, times in equations(jaxpr)
        for _ in range(times)
        if equation.primitive.name == "transpose"
        and jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating)
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_a_step_has_no_floating_point_look_up_or_scatter(name: str) -> None:
    # Scattered sums are slow, and on GPUs their order is chance: no resume bit by bit.
    for equation, _ in equations(step_of(VARIANTS[name], Train(batch=BATCH))):
        if equation.primitive.name in LOOK_UPS:
            array = equation.invars[0].aval
            assert not jnp.issubdtype(array.dtype, jnp.floating), equation


def test_a_look_up_would_be_seen() -> None:
    table, index = jnp.ones((4, 2)), jnp.array([1, 3])
    jaxpr = jax.make_jaxpr(jax.grad(lambda table: table[index].sum()))(table).jaxpr
    assert LOOK_UPS & {each.primitive.name for each, _ in equations(jaxpr)}


@pytest.mark.parametrize("stack", ["encoder_layers", "decoder_layers"])
def test_a_layer_moves_its_heads_to_blocks_and_back_and_nothing_else(
    stack: str,
) -> None:
    config = replace(VARIANTS["spatiotemporal"], blocks=((2, 1, 2),))
    deeper = replace(config, **{stack: getattr(config, stack) + 1})
    # Queries, keys and values at once, and what they make of each other.
    assert moved(forward_of(deeper)) - moved(forward_of(config)) == {10: 1, 9: 1}
    more = moved(step_of(deeper, Train())) - moved(step_of(config, Train()))
    # The gradient the same way; one factor each of the products of weights with values
    # (5) and of heads with the projection (3), and of three products of matrices.
    assert more == {10: 2, 9: 2, 5: 1, 3: 1, 2: 3}
