"""Dependencies of logits against the definition, for every pair in a small video."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.blocks import Blocks
from svtcli.model.subscale import codes_from_video, slice_numbers, slice_offsets
from svtcli.model.svt import network
from svtcli.recipe.model import Model
from tests.tiny import VARIANTS, network_of, random_actions, random_video

pytestmark = pytest.mark.usefixtures("optimized")


def joined(config: Model, layers: int) -> list[np.ndarray]:
    """For each layer, [P, P]: which positions share a block."""
    relations = []
    for block in config.layer_blocks(layers):
        of, _ = Blocks.of(block, config.slice_shape).places()
        relations.append(of[:, None] == of)
    return relations


def convolved(config: Model) -> np.ndarray:
    """[P, P]: whether the masked convolution at i reads pixel j (j before i)."""
    place = np.indices(config.slice_shape).reshape(3, -1).T
    apart = np.abs(place[:, None] - place)
    near = (apart <= np.array(config.masked_kernel) // 2).all(-1)
    return near & np.tri(len(place), k=-1, dtype=bool)


def within_slice(config: Model, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """[P, P] each: which pixels, and which contexts, a decoder state at i has seen."""
    P = int(np.prod(config.slice_shape))
    pixels, contexts = convolved(config), np.eye(P, dtype=bool)
    for share in joined(config, layers):
        earlier = share & np.tri(P, dtype=bool)
        pixels, contexts = earlier @ pixels, earlier @ contexts
    return pixels, contexts


def covered(config: Model, index: int) -> np.ndarray:
    """[P, T·H·W]: which visible pixels the context of slice `index` has seen."""
    T, H, W = config.video
    place = np.indices(config.slice_shape).reshape(3, -1).T * config.s
    centre = place + slice_offsets(config.s)[index]
    pixel = np.indices((T, H, W)).reshape(3, -1).T
    kernel = np.array(config.context_kernel)
    tap = pixel - centre[:, None] + kernel // 2
    seen = ((tap >= 0) & (tap < kernel)).all(-1)
    seen &= slice_numbers(config.video, config.s).ravel() < index
    for share in joined(config, config.encoder_layers):
        seen = share @ seen
    return seen


def expected_dependence(config: Model, index: int) -> np.ndarray:
    """[P, C, T·H·W, C]: whether logit (pixel, code) depends on (video pixel, code)."""
    C = config.codes
    own_decoder = index == 0 and config.first_slice_layers
    layers = config.first_slice_layers if own_decoder else config.decoder_layers
    pixels, contexts = within_slice(config, layers)
    number = slice_numbers(config.video, config.s).ravel()
    mine = np.flatnonzero(number == index)
    depends = np.zeros((len(mine), C, number.size, C), bool)
    depends[:, :, mine, :] = pixels[:, None, :, None]
    if not own_decoder:
        earlier = contexts @ covered(config, index)
        depends |= earlier[:, None, :, None]
    if config.loss == "codes":
        own = np.arange(len(mine))
        depends[own, :, mine, :] = np.tri(C, k=-1, dtype=bool)
    return depends


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_a_logit_sees_what_came_before_and_nothing_else(config):
    """Every code of the video is changed in turn, in float64, in one batch."""
    with jax.enable_x64(True):
        graphdef, params = network_of(config, dtype=jnp.float64)
        video = random_video(config, 1)
        codes = np.asarray(codes_from_video(video, config))
        where = np.indices(codes.shape[1:]).reshape(4, -1)  # every code, in turn
        rows = codes.repeat(where.shape[1] + 1, axis=0)
        rows[(np.arange(where.shape[1]) + 1, *where)] ^= 1
        rows = jnp.asarray(rows)
        actions = random_actions(config, 1)
        if actions is not None:
            actions = actions.repeat(len(rows), axis=0)

        @partial(jax.jit, static_argnames="first")
        def slice_logits(index: jax.Array, *, first: bool) -> jax.Array:
            model = network(graphdef, params)
            return model(rows, jnp.full(len(rows), index), actions, first=first)

        for index in range(config.slices):
            first = index == 0 and config.first_slice_layers is not None
            logits = slice_logits(jnp.array(index), first=first)
            P = int(np.prod(config.slice_shape))
            logits = np.asarray(logits).reshape(len(rows), P, -1)
            if config.loss == "codes":
                logits = logits.reshape(len(rows), P, config.codes, -1)
            moved = np.abs(logits[1:] - logits[0]).max(-1) > 1e-12
            expected = expected_dependence(config, index)
            expected = expected.reshape(P, config.codes, -1).transpose(2, 0, 1)
            if config.loss == "deterministic":
                expected = expected[..., 0]
            wrong = np.argwhere(moved != expected)
            assert not len(wrong), (
                f"slice {index}: {len(wrong)} of {moved.size} pairs, {wrong[:5]}, "
                f"{moved[tuple(wrong[0])]}"
            )


def test_an_action_reaches_the_frames_that_it_belongs_to():
    config = VARIANTS["actions"]
    graphdef, params = network_of(config)
    video, actions = random_video(config, 1), random_actions(config, 1)
    codes, index = codes_from_video(video, config), jnp.array([0])
    model = network(graphdef, params)
    spread = model.encoder._broadcast(actions)
    assert spread.shape == (1, *config.slice_shape, config.s[0] * config.actions)
    assert (spread[0, 1, 0, 0] == actions[0, 2:4].ravel()).all()
    logits = jax.jit(lambda actions: model(codes, index, actions))
    assert jnp.abs(logits(actions) - logits(-actions)).max() > 0
    with pytest.raises(ValueError, match="actions"):
        model(codes, index)
