import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.model.likelihood import training_loss
from svtcli.model.subscale import (
    context_patches,
    context_taps,
    merge,
    put_slice,
    slice_numbers,
    slice_offsets,
    split,
    take_slice,
)
from svtcli.recipe.model import Model
from tests.tiny import VARIANTS, network_of

extents = st.tuples(*[st.integers(1, 3)] * 3)


@given(s=extents, shape=extents)
def test_merging_the_slices_of_a_video_gives_it_back(s, shape):
    T, H, W = (factor * part for factor, part in zip(s, shape, strict=True))
    video = np.arange(2 * T * H * W * 3).reshape(2, T, H, W, 3)
    assert (merge(split(video, s), s) == video).all()


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_slices_come_in_the_papers_order(config):
    st_, sh, sw = config.s
    video = jnp.arange(np.prod(config.video)).reshape(1, *config.video)
    slices = np.asarray(split(video, config.s))[0]
    expected = [
        video[0, a::st_, b::sh, c::sw]
        for a in range(st_)
        for b in range(sh)
        for c in range(sw)
    ]
    assert (slices == np.stack(expected)).all()
    numbers = slice_numbers(config.video, config.s)
    numbers = np.asarray(split(jnp.asarray(numbers)[None], config.s))
    assert (numbers[0] == np.arange(config.slices)[:, None, None, None]).all()


def test_taking_and_putting_a_slice_touch_that_slice_alone():
    s = (2, 2, 2)
    video = jnp.asarray(np.random.default_rng(0).integers(0, 9, (2, 4, 4, 4, 1)))
    index = jnp.array([5, 5])
    taken = take_slice(video, index, s)
    assert (taken == video[:, 1::2, 0::2, 1::2]).all()
    put = put_slice(video, taken + 9, jnp.array(5), s)
    changed = np.asarray(put) - video
    assert (changed[:, 1::2, 0::2, 1::2] == 9).all()
    assert changed.sum() == 9 * taken.size


def test_the_context_kernel_is_centred_on_the_pixels_of_the_slice():
    config = Model(video=(1, 1, 4), s=(1, 1, 2), k=(1, 1, 3), blocks=((1, 1, 2),))
    hidden = config.values
    codes = jnp.arange(4, dtype=jnp.uint8).reshape(1, 1, 1, 4, 1).repeat(6, -1)
    patches = np.asarray(context_patches(codes, jnp.array([1]), config))[
        0, 0, 0, :, :, 0
    ]
    # Slice 1 is pixels 1 and 3; slice 0, pixels 0 and 2, is all that it may see.
    assert patches.tolist() == [[0, hidden, 2], [2, hidden, hidden]]
    first = np.asarray(context_patches(codes, jnp.array([0]), config))
    assert (first == hidden).all()


WHOLE_BYTES = Model(
    video=(2, 4, 4), s=(2, 2, 1), de=4, d=8, na=1, da=2, blocks=((1, 2, 2),),
    encoder_layers=1, decoder_layers=1, channels=1, code_bits=8,
)  # fmt: skip
"""One code of 256 values a pixel: the value that hides is no byte."""


def test_a_model_with_codes_of_256_values_has_a_finite_loss():
    graphdef, params = network_of(WHOLE_BYTES)
    video = jnp.arange(7, 256, 8, jnp.uint8).reshape(1, 2, 4, 4, 1)
    for index in range(WHOLE_BYTES.slices):
        args = (graphdef, params, WHOLE_BYTES, 0, video, jnp.array([index]))
        nats, bits = training_loss(*args)
        assert 0 < float(nats) < 100
        assert float(bits) == pytest.approx(float(nats) / np.log(2))


CONFIGS = {**VARIANTS, "whole bytes": WHOLE_BYTES}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_context_patches_follow_the_definition(config):
    rng = np.random.default_rng(1)
    shape = (1, *config.video, config.codes)
    codes = jnp.asarray(rng.integers(0, config.values, shape, np.uint8))
    kernel = config.context_kernel
    number = slice_numbers(config.video, config.s)
    for index, abc in enumerate(slice_offsets(config.s)):
        patches = np.asarray(context_patches(codes, jnp.array([index]), config))[0]
        for place in np.ndindex(*config.slice_shape):
            for tap, offset in enumerate(np.ndindex(*kernel)):
                pixel = (
                    np.array(place) * config.s + abc + offset - np.array(kernel) // 2
                )
                inside = (pixel >= 0).all() and (pixel < config.video).all()
                if inside and number[tuple(pixel)] < index:
                    expected = codes[0][tuple(pixel)]
                else:
                    expected = config.values
                hidden = tap >= context_taps(config)
                found = config.values if hidden else patches[(*place, tap)]
                assert np.all(found == expected)
