"""`train.remat`: activations computed twice, so that fewer are kept."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax.interpreters.partial_eval import dce_jaxpr

from svtcli.model.flops import hardware_flops
from svtcli.model.likelihood import training_loss
from svtcli.recipe.model import Model
from tests.products import products_of
from tests.tiny import VARIANTS, network_of, shallow
from tests.train.test_precision import BATCH, inputs_of


def gradient_of(config: Model, *, remat: bool):
    graphdef, params = network_of(config)

    def loss(params, inputs):
        return training_loss(graphdef, params, config, 1, **inputs, remat=remat)

    return jax.value_and_grad(loss, has_aux=True), params


@pytest.mark.parametrize(
    "name", [pytest.param("rgb", marks=pytest.mark.slow), "first slice decoder"]
)
def test_loss_and_gradient_do_not_change(name: str) -> None:
    config = shallow(VARIANTS[name])
    results = []
    for remat in (False, True):
        gradient, params = gradient_of(config, remat=remat)
        results.append(jax.jit(gradient)(params, inputs_of(config)))
    (plain, expected), (again, found) = results
    np.testing.assert_allclose(again, plain, rtol=1e-6)
    for one, other in zip(
        jax.tree.leaves(expected), jax.tree.leaves(found), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def test_remat_halves_the_memory_of_a_deep_model() -> None:
    config = replace(VARIANTS["spatiotemporal"], encoder_layers=4, decoder_layers=4)
    config = replace(config, video=(4, 16, 16), d=64)
    bytes_ = []
    for remat in (False, True):
        gradient, params = gradient_of(config, remat=remat)
        compiled = jax.jit(gradient).lower(params, inputs_of(config)).compile()
        bytes_.append(compiled.memory_analysis().temp_size_in_bytes)
    assert bytes_[1] < 0.5 * bytes_[0], bytes_


@pytest.mark.parametrize("name", ["rgb", "first slice decoder"])
def test_only_products_of_the_layers_are_recomputed(name: str) -> None:
    config = VARIANTS[name]
    for remat in (False, True):
        gradient, params = gradient_of(config, remat=remat)
        traced = jax.make_jaxpr(gradient)(params, inputs_of(config))
        # As compiled: without what nobody reads.
        used, _ = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
        expected = hardware_flops(config, BATCH, remat=remat)
        assert products_of(used) == expected
