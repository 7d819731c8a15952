import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.subscale import codes_from_video, video_from_codes
from svtcli.recipe.model import Model


def test_the_coarse_codes_of_all_channels_come_before_the_fine_ones():
    pixel = jnp.array([0xAB, 0xCD, 0xEF], jnp.uint8)
    assert codes_from_video(pixel, Model()).tolist() == [10, 12, 14, 11, 13, 15]


@pytest.mark.parametrize(("channels", "bits"), [(3, 4), (1, 4), (3, 2), (1, 8)])
def test_codes_hold_all_of_a_pixel(channels, bits):
    config = Model(channels=channels, code_bits=bits)
    pixels = jnp.arange(256, dtype=jnp.uint8)[:, None].repeat(channels, -1)
    codes = codes_from_video(pixels, config)
    assert codes.shape == (256, config.codes)
    assert (np.asarray(video_from_codes(codes, config)) == pixels).all()
