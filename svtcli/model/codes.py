"""Pixels ⇄ codes: 8-bit image channels split in coarse and fine codes (§3.3).

3×8-bit RGB becomes 6×4-bit codes: coarse R, G, B, then fine R, G, B.
"""

import jax.numpy as jnp
from jaxtyping import Array, Integer, UInt8

from svtcli.recipe.model import Model


def codes_from_video(
    video: UInt8[Array, "*any I"], config: Model
) -> UInt8[Array, "*any C"]:
    """Return the codes of each pixel, coarse codes of all image channels first."""
    mask = config.values - 1
    return jnp.concatenate([(video >> shift) & mask for shift in _shifts(config)], -1)


def video_from_codes(
    codes: Integer[Array, "*any C"], config: Model
) -> UInt8[Array, "*any I"]:
    """Return the pixels with these codes; inverse of `codes_from_video`."""
    levels = jnp.split(codes.astype(jnp.uint8), len(_shifts(config)), axis=-1)
    shifted = [
        level << shift for level, shift in zip(levels, _shifts(config), strict=True)
    ]
    return sum(shifted[1:], start=shifted[0])


def _shifts(config: Model) -> tuple[int, ...]:
    """Lowest bit of each level, coarse first."""
    return tuple(range(config.pixel_bits - config.code_bits, -1, -config.code_bits))
