"""Sequential sampling: the logits of the parallel form, the NLL of evaluation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.likelihood import Scorer
from svtcli.model.subscale import codes_from_video, scored_frames, take_slice
from svtcli.model.svt import network
from svtcli.recipe.model import Model
from svtcli.sample.sampler import Sampler
from svtcli.sample.sampling_rule import SamplingRule, row_keys, slice_noise
from tests.tiny import SMALL, VARIANTS, network_of, random_actions, random_video

IN_EACH_PRECISION = [
    *((name, "float64") for name in VARIANTS),
    ("spatiotemporal", "float32"),
    *(
        pytest.param(name, "float32", marks=pytest.mark.slow)
        for name in VARIANTS
        if name != "spatiotemporal"
    ),
]
"""Float64 shows more; float32 is the same code."""

LIKE_OTHERS = (
    *("wide context kernel", "wide masked kernel", "heads by layer", "rgb"),
    *("dilated", "spatiotemporal"),
)
EACH_VARIANT = [
    pytest.param(name, marks=pytest.mark.slow) if name in LIKE_OTHERS else name
    for name in VARIANTS
]
"""Sampling takes the same course in `LIKE_OTHERS` as in the other variants."""


def logits_step_by_step(graphdef, params, codes, index, actions, *, given, first):
    """The logits of slice `index` from the one-position forms, fed the true codes.

    The frames before `given` are prefilled in parallel, and the pixels after them are
    hidden from that pass: what the steps need of them, they must compute themselves.
    """
    model = network(graphdef, params)
    config, decoder = model.config, model.decoder_of(first=first)
    B, P = len(codes), int(np.prod(config.slice_shape))
    slice_codes = take_slice(codes, index, config.s)
    context = None if first else model.encoder(codes, index, actions)
    placed = decoder.position_and_context(context)
    known = ~scored_frames(config, index, given)[:, :, None, None, None]
    _, cache = decoder.states(jnp.where(known, slice_codes, 0), placed)
    placed = jnp.broadcast_to(placed, (B, *config.slice_shape, config.d))
    placed = placed.reshape(B, P, -1)
    true = slice_codes.reshape(B, P, -1)
    start = known[0].sum() * config.slice_shape[1] * config.slice_shape[2]
    shape = decoder.head.logits_shape(config)

    def step(position, carry):
        cache, logits = carry
        y, cache = decoder.step(cache, placed[:, position], position)
        _, here = decoder.head.sample(
            y, lambda k, _: true[:, position, k].astype(int), cache.head
        )
        cache = decoder.remember(cache, true[:, position], position)
        return cache, logits.at[:, position].set(here)

    nothing = jnp.zeros((B, P, *shape), placed.dtype)
    _, logits = jax.lax.fori_loop(start, P, step, (cache, nothing))
    whole = model(codes, index, actions, first=first).reshape(logits.shape)
    after = (jnp.arange(P) >= start).reshape(1, P, *[1] * len(shape))
    return jnp.where(after, whole - logits, 0)


@pytest.mark.parametrize(("name", "precision"), IN_EACH_PRECISION)
def test_cached_steps_give_the_logits_of_the_whole_slice(name, precision):
    config = VARIANTS[name]
    with jax.enable_x64(precision == "float64"):
        network_parts = network_of(config, dtype=precision)
        codes = codes_from_video(random_video(config, 2), config)
        actions = random_actions(config, 2)
        compare = jax.jit(
            partial(logits_step_by_step, *network_parts), static_argnames="first"
        )
        within = 1e-4 if precision == "float32" else 1e-9
        for index in range(config.slices):
            first = index == 0 and config.first_slice_layers is not None
            for given in (0, 1, 2):
                off = compare(
                    codes, jnp.full(2, index), actions, given=given, first=first
                )
                assert jnp.abs(off).max() < within, f"slice {index}, {given} given"


@pytest.mark.parametrize("name", EACH_VARIANT)
def test_the_nll_of_samples_is_that_of_evaluation(name):
    config = VARIANTS[name]
    parts = network_of(config)
    T, F, prime, overlap = config.video[0], config.video[0] + 2, 1, 1
    rng = np.random.default_rng(3)
    shape = (2, F, *config.video[1:], config.channels)
    video = rng.integers(0, 2**config.pixel_bits, shape, dtype=np.uint8)
    actions = None
    if config.actions:
        actions = rng.normal(size=(2, F, config.actions)).astype(np.float32)
    keys = row_keys(7, np.arange(2), np.zeros(2, int))
    made = Sampler(config, *parts).continue_video(
        video, prime, overlap, keys, SamplingRule.of(0.8), actions
    )
    assert (made.video[:, :prime] == video[:, :prime]).all()
    assert (made.nll[:, :prime] == 0).all()
    scored = Scorer(config, *parts).frame_nll(made.video, prime, overlap, actions)
    assert T < F
    assert np.allclose(made.nll, scored, rtol=1e-4, atol=1e-3)
    assert (scored[:, prime:] > 0).all()


def test_a_sample_depends_on_its_seed_clip_and_continuation_alone():
    config = VARIANTS["spatiotemporal"]
    sampler = Sampler(config, *network_of(config))
    video = np.asarray(random_video(config, 3))

    def sample(rows, clips, continuations, seed=0):
        keys = row_keys(seed, np.array(clips), np.array(continuations))
        return sampler.continue_video(
            video[rows], 1, 1, keys, SamplingRule.of(1.0)
        ).video

    together = sample([0, 1, 2, 0], [0, 1, 2, 0], [0, 0, 0, 1])
    alone = sample([2], [2], [0])
    assert (together[2] == alone[0]).all()
    assert (together[0] != together[3]).any()
    assert (sample([0], [0], [0], seed=1)[0] != together[0]).any()


def test_temperature_zero_is_the_likeliest_value_whatever_the_seed():
    config = VARIANTS["spatial"]
    sampler = Sampler(config, *network_of(config))
    video = np.asarray(random_video(config, 1))
    keys = [row_keys(seed, np.zeros(1, int), np.zeros(1, int)) for seed in (0, 1)]
    greedy, again = (
        sampler.continue_video(video, 1, 1, key, SamplingRule.of(0.0)).video
        for key in keys
    )
    assert (greedy == again).all()
    drawn = sampler.continue_video(video, 1, 1, keys[0], SamplingRule.of(1.0)).video
    assert (drawn != greedy).any()


def test_only_the_prime_frames_are_read():
    config = VARIANTS["single frame"]
    sampler = Sampler(config, *network_of(config))
    video = np.asarray(random_video(config, 1))
    hidden = video.copy()
    hidden[:, 2:] = 0
    keys = row_keys(0, np.zeros(1, int), np.zeros(1, int))
    one, other = (
        sampler.continue_video(v, 2, 1, keys, SamplingRule.of(1.0)).video
        for v in (video, hidden)
    )
    assert (one == other).all()


def test_the_noise_of_a_pixel_is_the_same_in_every_window():
    config = Model(video=(2, 2, 2), s=(2, 1, 1), blocks=((1, 2, 2),), **SMALL)
    keys = row_keys(0, np.arange(2), np.zeros(2, int))
    late = slice_noise(keys, config, jnp.array(1), jnp.array(3))  # frame 3 + 1
    early = slice_noise(keys, config, jnp.array(0), jnp.array(4))  # frame 4 + 0
    assert (late == early).all()
    assert len(np.unique(late)) == late.size
