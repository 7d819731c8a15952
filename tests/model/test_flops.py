from dataclasses import replace
from math import prod

import jax
import jax.numpy as jnp
import pytest

from svtcli.model.flops import (
    forward_flops,
    hardware_flops,
    parts,
    training_flops,
)
from svtcli.model.likelihood import training_loss
from svtcli.model.svt import structure
from svtcli.model.windows import slice_choices
from svtcli.recipe.model import Model
from tests.paper_models import PAPER, SPATIOTEMPORAL
from tests.products import products_of
from tests.tiny import SMALL, VARIANTS

BATCH = 5


def abstract_batch(config: Model, batch: int):
    uint8, int32, float32 = jnp.uint8, jnp.int32, jnp.float32
    video = jax.ShapeDtypeStruct((batch, *config.video, config.channels), uint8)
    index = jax.ShapeDtypeStruct((batch,), int32)
    shape = (batch, config.video[0], config.actions)
    actions = jax.ShapeDtypeStruct(shape, float32) if config.actions else None
    return video, index, actions


def loss_of(config: Model):
    graphdef, params = structure(config)

    def loss(params, *inputs):
        return training_loss(graphdef, params, config, 0, *inputs)[0]

    return loss, params


@pytest.mark.parametrize("name", VARIANTS)
def test_the_forward_pass_has_these_products_and_no_others(name: str) -> None:
    config = VARIANTS[name]
    loss, params = loss_of(config)
    traced = jax.make_jaxpr(loss)(params, *abstract_batch(config, BATCH))
    assert products_of(traced.jaxpr) == forward_flops(config, BATCH)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_training_step_has_these_products_and_no_others(name: str) -> None:
    config = VARIANTS[name]
    loss, params = loss_of(config)
    step = jax.grad(loss)
    traced = jax.make_jaxpr(step)(params, *abstract_batch(config, BATCH))
    assert products_of(traced.jaxpr) == training_flops(config, BATCH)


def test_xla_counts_a_wide_model_s_forward_pass_within_five_percent() -> None:
    config = replace(
        VARIANTS["rgb"], de=64, d=256, na=4, da=64, encoder_layers=2, decoder_layers=2
    )
    loss, params = loss_of(config)
    compiled = jax.jit(loss).lower(params, *abstract_batch(config, 2)).compile()
    counted = compiled.cost_analysis()["flops"]
    assert forward_flops(config, 2) == pytest.approx(counted, rel=0.05)


def test_the_paper_s_base_model_by_hand() -> None:
    by_name = {part.name: part.forward for part in parts(SPATIOTEMPORAL, 1)}
    P = 4 * 32 * 32
    assert by_name["encoder linear layers"] == 2 * P * 8 * 2 * 512 * 512
    # Eight layers of four 512 by 1024 maps, and two products of 128 by 128 positions.
    attention = 2 * P * 8 * (4 * 512 * 1024 + 2 * 128 * 1024)
    assert by_name["decoder attention"] == attention
    conv = 2 * P * (16 * 6 * 16 * 128 + 128 * 512)
    assert by_name["encoder convolution"] == conv
    head = 2 * P * (6 * 512 * 512 + 15 * 16 * 512 + 6 * 512 * 16)
    assert by_name["decoder head"] == head


@pytest.mark.parametrize("name", PAPER)
def test_twice_the_slices_are_twice_the_work(name: str) -> None:
    one, two = (training_flops(PAPER[name], batch) for batch in (1, 2))
    assert two == 2 * one


def test_first_slices_pay_for_their_own_decoder_and_no_encoder() -> None:
    config = VARIANTS["first slice decoder"]
    alone = replace(config, first_slice_layers=None)
    by_name = {part.name: part for part in parts(config, 16)}
    own = config.first_rows(16)
    assert own == 2
    encoder = by_name["encoder linear layers"].forward
    assert (
        encoder
        == 14
        / 16
        * {p.name: p for p in parts(alone, 16)}["encoder linear layers"].forward
    )
    P, d = prod(config.slice_shape), SMALL["d"]
    assert (
        by_name["first decoder linear layers"].forward == 2 * (own * P) * 5 * 2 * d * d
    )
    assert len(slice_choices(config, 1, 16)) == 16


def test_remat_adds_a_forward_pass_of_the_layers_up_to_their_last_map() -> None:
    config = SPATIOTEMPORAL
    share = {"attention": 1.0, "layers": 0.5}
    layers = sum(
        part.forward * share.get(part.name.split()[-1], 0.0)
        for part in parts(config, 1)
    )
    more = hardware_flops(config, 1, remat=True) - training_flops(config, 1)
    assert more == layers
    assert hardware_flops(config, 1, remat=False) == training_flops(config, 1)
