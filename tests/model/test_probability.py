"""The model is a distribution, and its units are the paper's."""

from functools import partial
from itertools import product
from math import log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.heads import ChannelHead, IntensityHead, unit_of
from svtcli.model.likelihood import slice_nll, training_loss
from svtcli.model.parameters import Keys
from svtcli.model.subscale import codes_from_video, scored_frames
from svtcli.model.svt import abstract_params, network, parameter_count
from svtcli.model.windows import slice_choices
from svtcli.recipe.model import Model
from tests.paper_models import PAPER
from tests.tiny import SMALL, VARIANTS, network_of, random_actions, random_video

ENUMERABLE = {
    "subscaled": Model(
        video=(2, 1, 2), s=(2, 1, 1), channels=1, pixel_bits=2, code_bits=1,
        blocks=((1, 1, 2),), **SMALL,
    ),
    "first slice decoder": Model(
        video=(2, 1, 2), s=(1, 1, 2), channels=1, pixel_bits=2, code_bits=1,
        blocks=((2, 1, 1),), first_slice_layers=2, **SMALL,
    ),
    "rgb": Model(
        video=(1, 1, 3), s=(1, 1, 3), k=(1, 1, 5), pixel_bits=1, code_bits=1,
        blocks=((1, 1, 1),), **SMALL,
    ),
}  # fmt: skip


def every_video(config: Model) -> jax.Array:
    numbers = int(np.prod(config.video)) * config.channels
    every = list(product(range(2**config.pixel_bits), repeat=numbers))
    return jnp.array(every, jnp.uint8).reshape(-1, *config.video, config.channels)


def pixel_nll(graphdef, params):
    """`slice_nll` of one network, compiled once for all slices."""

    @partial(jax.jit, static_argnames="first")
    def nats(video, index, actions=None, *, first):
        return slice_nll(network(graphdef, params), video, index, actions, first=first)

    return nats


def own(config: Model, index: int) -> bool:
    return index == 0 and config.first_slice_layers is not None


@pytest.mark.parametrize("config", ENUMERABLE.values(), ids=ENUMERABLE)
def test_the_probabilities_of_all_videos_sum_to_one(config):
    with jax.enable_x64(True):
        nll_of = pixel_nll(*network_of(config, dtype=jnp.float64))
        videos = every_video(config)
        nats = sum(
            nll_of(videos, jnp.full(len(videos), index), first=own(config, index))
            for index in range(config.slices)
        ).sum((1, 2, 3))
        probabilities = np.exp(-np.asarray(nats))
        assert probabilities.std() > 1e-5  # a uniform model would prove little
        assert abs(probabilities.sum() - 1) < 1e-9


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("spatiotemporal", 46.1),
        ("spatial", 46.1),
        ("single_frame", 46.1),
        ("spatiotemporal_large", 373.4),
        ("spatial_large", 373.4),
        ("single_frame_large", 373.4),
    ],
)
def test_the_papers_models_have_the_papers_size(name, millions):
    assert parameter_count(PAPER[name]) / 1e6 == pytest.approx(millions, rel=0.01)


def test_counting_parameters_allocates_none():
    leaves = jax.tree.leaves(abstract_params(PAPER["spatiotemporal_large"]))
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)


def test_the_nll_of_uniform_logits_is_eight_bits_and_of_right_ones_zero():
    config = Model()
    pixels = config.codes
    codes = jnp.asarray(
        np.random.default_rng(0).integers(0, 16, (100, pixels), np.uint8)
    )
    unit = unit_of(config).per_nat
    head = ChannelHead(config, Keys(jax.random.key(0)))
    uniform = head.nll(jnp.zeros((100, pixels, 16)), codes)
    assert (uniform * unit).mean() == pytest.approx(8, abs=1e-6)
    right = head.nll(jax.nn.one_hot(codes, 16) * 1e4, codes)
    assert (right * unit).max() == 0


def test_the_deterministic_loss_is_the_papers():
    y = np.array([0.5, 0.9, 0.01])
    pixel = jnp.array([51, 255, 0], jnp.uint8)
    z = np.asarray(pixel) / 255
    expected = -(z * np.log(y) + (1 - z) * np.log(1 - y))
    logit = jnp.asarray(np.log(y / (1 - y)))
    config = VARIANTS["deterministic"]
    head = IntensityHead(config, Keys(jax.random.key(0)))
    codes = codes_from_video(pixel[:, None], config)
    assert np.allclose(head.nll(logit, codes), expected, atol=1e-6)
    grey = codes_from_video(jnp.full((64, 64, 1), 77, jnp.uint8), config)
    frame = head.nll(jnp.zeros((64, 64)), grey)
    assert float(frame.sum()) == pytest.approx(4096 * log(2), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "spatiotemporal",
        "single frame",
        "first slice decoder",
        "actions",
        "deterministic",
    ],
)
def test_training_scores_the_frames_after_the_prime_ones(name):
    """The loss is the mean, by hand, over the scored pixels of the same slices."""
    config, prime, B = VARIANTS[name], 1, 4
    graphdef, params = network_of(config)
    video, actions = random_video(config, B), random_actions(config, B)
    choices = slice_choices(config, prime, B)
    index = jnp.array([row[i % len(row)] for i, row in enumerate(choices)])
    loss, score = jax.jit(partial(training_loss, graphdef), static_argnums=(1, 2))(
        params, config, prime, video, index, actions
    )
    nll_of = pixel_nll(graphdef, params)
    nats, weights = [], []
    for row in range(B):
        first = own(config, int(index[row]))
        whole = nll_of(video, index, actions, first=first)
        scored = np.asarray(scored_frames(config, index, prime))[row]
        share = 1.0
        if config.first_slice_layers:
            S = config.slices
            share = B / S if first else (1 - 1 / S) * B / (B - 1)
        nats.append(share * float(whole[row][scored].sum()))
        weights.append(share * whole[row][scored].size)
    per_pixel = sum(nats) / sum(weights)
    assert float(loss) == pytest.approx(per_pixel / unit_of(config).scored, rel=1e-5)
    assert float(score) == pytest.approx(per_pixel * unit_of(config).per_nat, rel=1e-5)


def test_prime_frames_and_hidden_slices_do_not_move_the_loss():
    config = VARIANTS["spatiotemporal"]
    graphdef, params = network_of(config)
    video = random_video(config, 1)
    index = jnp.array([3])  # of frames 0 and 2
    changed = video.at[:, 1::2].set(0)  # slices 4 … 7 come later
    loss_of = jax.jit(
        lambda video: training_loss(graphdef, params, config, 1, video, index)[0]
    )
    assert loss_of(video) == loss_of(changed)


def test_slices_without_a_scored_pixel_are_never_drawn():
    single = VARIANTS["single frame"]
    assert slice_choices(single, 2, 3) == ((2, 3),) * 3
    kinetics = VARIANTS["first slice decoder"]
    assert slice_choices(kinetics, 1, 16) == ((0,),) * 2 + (tuple(range(1, 8)),) * 14
