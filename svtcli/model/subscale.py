"""Video ⇄ slices (§3.2), pixels ⇄ codes (§3.3), and the context of a slice.

Slice (a, b, c) is x[a::st, b::sh, c::sw]. Slices are numbered in raster order of
(a, b, c), last fastest, and generated in that order. 8-bit image channels are split:
3×8-bit RGB becomes 6×4-bit codes, first coarse R, G, B, then fine R, G, B.
"""

from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Bool, Int, Integer, Shaped, UInt, UInt8

from svtcli.model.windows import frames_of_slices
from svtcli.recipe.model import Model, Triple


def slice_offsets(s: Triple) -> Int[np.ndarray, "S 3"]:
    """(a, b, c) of every slice, in the order of generation."""
    return np.indices(s).reshape(3, -1).T


def slice_numbers(video: Triple, s: Triple) -> Int[np.ndarray, "T H W"]:
    """Number of the slice that each pixel belongs to."""
    return np.ravel_multi_index(np.indices(video) % np.array(s)[:, None, None, None], s)


Volumes = Array | np.ndarray
"""Arrays on the device or the host."""


def split(
    video: Shaped[Volumes, "B T H W *any"], s: Triple
) -> Shaped[Volumes, "B S t h w *any"]:
    """Split a video into its slices, in order."""
    st, sh, sw = s
    axes = "B (t st) (h sh) (w sw) ... -> B (st sh sw) t h w ..."
    return rearrange(video, axes, st=st, sh=sh, sw=sw)


def merge(
    slices: Shaped[Volumes, "B S t h w *any"], s: Triple
) -> Shaped[Volumes, "B T H W *any"]:
    """Merge slices into a video; inverse of `split`."""
    st, sh, sw = s
    axes = "B (st sh sw) t h w ... -> B (t st) (h sh) (w sw) ..."
    return rearrange(slices, axes, st=st, sh=sh, sw=sw)


def take_slice(
    video: Shaped[Array, "B T H W *any"], index: Int[Array, " B"], s: Triple
) -> Shaped[Array, "B t h w *any"]:
    """Slice `index[i]` of video i."""
    return jax.vmap(lambda slices, i: slices[i])(split(video, s), index)


def put_slice(
    video: Shaped[Array, "B T H W *any"],
    slice_: Shaped[Array, "B t h w *any"],
    index: Int[Array, ""],
    s: Triple,
) -> Shaped[Array, "B T H W *any"]:
    """Return the videos with slice `index` replaced."""
    slices = jnp.asarray(split(video, s))
    changed = jax.lax.dynamic_update_slice_in_dim(slices, slice_[:, None], index, 1)
    return jnp.asarray(merge(changed, s))


def scored_frames(
    config: Model, index: Int[Array, " B"], prime: Int[Array, ""] | int
) -> Bool[Array, "B t"]:
    """Mask of the frames of slice `index` that follow the `prime` first ones."""
    return jnp.asarray(frames_of_slices(config))[index] >= prime


def context_taps(config: Model) -> int:
    """Number of taps of the context kernel, first ones in raster order, with a use.

    Where a slice lies in one frame, the taps after that frame cover no earlier slice;
    where it is the whole frame, neither do those at the frame itself.
    """
    frames, height, width = config.context_kernel
    if config.single_frame:
        whole = config.s[1:] == (1, 1)
        frames = max(1, frames // 2 + (0 if whole else 1))
    return frames * height * width


def context_patches(
    codes: UInt8[Array, "B T H W C"], index: Int[Array, " B"], config: Model
) -> UInt[Array, "B t h w taps C"]:
    """Codes that the context kernel covers around each pixel of slice `index`.

    Only its first `context_taps`. All pixels outside of earlier slices, and the
    padding, hold the value Nv, which no code has, so that their one-hot is all zeros.
    The padding (⌊k/2⌋ − a, …) of §3.2 is a window that starts at offset (a, b, c) in a
    video padded by ⌊k/2⌋: the kernel is centred on the slice's own pixels.
    """
    T, H, W = config.video
    s, k = config.s, config.context_kernel
    visible = slice_numbers(config.video, s) < index[:, None, None, None]
    kind = np.min_scalar_type(config.values)  # 256 is no uint8
    hidden = kind.type(config.values)
    shown = jnp.where(visible[..., None], codes.astype(kind), hidden)
    around = [(extent // 2, extent - 1 - extent // 2) for extent in k]
    padded = jnp.pad(shown, ((0, 0), *around, (0, 0)), constant_values=hidden)
    # What the kernel can reach from any pixel of the slice, pixel by pixel.
    reach = tuple(x - f + e for x, f, e in zip((T, H, W), s, k, strict=True))
    start = jnp.asarray(slice_offsets(s))[index]  # [B, 3]
    region = jax.vmap(
        lambda row, abc: jax.lax.dynamic_slice(
            row, (*abc, jnp.zeros((), abc.dtype)), (*reach, row.shape[-1])
        )
    )(padded, start)
    taps = [
        region[:, i : i + T - s[0] + 1 : s[0], j : j + H - s[1] + 1 : s[1],
               m : m + W - s[2] + 1 : s[2]]
        for i, j, m in islice(np.ndindex(*k), context_taps(config))
    ]  # fmt: skip
    return jnp.stack(taps, axis=-2)


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
