"""I3D on Kinetics-400 (Carreira & Zisserman 2017): the features that FVD compares.

The RGB network of `google-deepmind/kinetics-i3d`, whose logits before the softmax,
averaged over time, are the features of the published FVD. Axes: `N` clips · `T H W`
frames and pixels · `C` channels.

Every batch normalisation is folded into the convolution before it. A convolution over
frames and pixels is one over pixels alone, of the frames that it sees laid side by side
as channels: XLA's two-dimensional convolutions are several times faster, most of all
for the first layer, whose three channels fill no vector. Those with 3×3 pixels are
computed by Winograd's algorithm on a CPU (`winograd`).

Frames are resized as in TensorFlow 1's `resize_bilinear` (`tf1`): output pixel i is
sampled at i·old/new, without a half-pixel shift or antialiasing. PyTorch's
`interpolate(align_corners=False)` samples at (i + ½)·old/new - ½ (`half-pixel`). FVD
differs by some per cent between the two. `crop` is VideoGPT's rule: the shorter side to
224 pixels with half-pixel centres, the middle square of that, and half the range.
"""

from collections.abc import Mapping
from functools import partial
from math import ceil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Float64, UInt8

from svtcli.evaluate.fvd.conventions import Resize
from svtcli.evaluate.fvd.protocol import FEWEST_FRAMES
from svtcli.evaluate.fvd.winograd import convolve
from svtcli.failure import BadData

SIDE = 224
"""Height and width of the network's input, in pixels."""
CLASSES = 400
EPSILON = 1e-3
"""Epsilon of the batch normalisations."""
FEWEST_ROWS = 14
"""Minimum height of a frame at which transforming a kernel pays (`winograd`)."""
SELF_TEST = {15: 133.909, 16: 152.902097, 30: 151.3926}
"""FVD of black clips against white ones by number of frames, with published weights.

Others report 152.918 for 16 frames (another port) and 151.39244 for 30 (the reference).
"""
CLOSE_ENOUGH = 1e-3
"""Relative tolerance of the self-test, which TensorFloat-32 would miss."""

# Channels of a mixed block: branch 0; in and out of 1; in and out of 2; branch 3.
_MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


class Conv(NamedTuple):
    """A convolution with its batch normalisation folded in."""

    kernel: Float[Array, "kh kw ktC O"]
    """Kernel over pixels, with `kt` frames side by side as channels."""
    bias: Float[Array, " O"]


class Mixed(NamedTuple):
    """An inception block: four branches side by side."""

    pointwise: Conv
    """Pointwise convolutions at the start of branches 0, 1 and 2, as one."""
    wide: Conv
    """Convolution over 3 frames of branch 1."""
    narrow: Conv
    """Convolution over 3 frames of branch 2."""
    pooled: Conv
    """Pointwise convolution of branch 3, after its pooling."""


class I3D(NamedTuple):
    """Parameters, by the published names of the layers."""

    conv_1a: Conv
    conv_2b: Conv
    conv_2c: Conv
    mixed: dict[str, Mixed]
    logits: Conv


def i3d(arrays: Mapping[str, Float32[np.ndarray, "..."]]) -> I3D:
    """Build the network from the published arrays.

    Errors: BadData where an array is missing or has another shape.
    """
    unit = partial(_folded, arrays)
    mixed, channels = {}, 192
    for name, (zero, wide_in, wide, narrow_in, narrow, pooled) in _MIXED.items():
        pointwise = (
            unit(f"{name}/Branch_0/Conv3d_0a_1x1", 1, channels, zero),
            unit(f"{name}/Branch_1/Conv3d_0a_1x1", 1, channels, wide_in),
            unit(f"{name}/Branch_2/Conv3d_0a_1x1", 1, channels, narrow_in),
        )
        kernels, biases = zip(*pointwise, strict=True)
        mixed[name] = Mixed(
            Conv(jnp.concatenate(kernels, axis=-1), jnp.concatenate(biases)),
            unit(f"{name}/Branch_1/Conv3d_0b_3x3", 3, wide_in, wide),
            unit(f"{name}/Branch_2/Conv3d_0b_3x3", 3, narrow_in, narrow),
            unit(f"{name}/Branch_3/Conv3d_0b_1x1", 1, channels, pooled),
        )
        channels = zero + wide + narrow + pooled
    last = "params/Logits/Conv3d_0c_1x1/Conv_0"
    kernel = _array(arrays, f"{last}/kernel", (1, 1, 1, channels, CLASSES))
    bias = _array(arrays, f"{last}/bias", (CLASSES,))
    return I3D(
        conv_1a=unit("Conv3d_1a_7x7", 7, 3, 64),
        conv_2b=unit("Conv3d_2b_1x1", 1, 64, 64),
        conv_2c=unit("Conv3d_2c_3x3", 3, 64, 192),
        mixed=mixed,
        logits=Conv(jnp.asarray(kernel[0]), jnp.asarray(bias)),
    )


@partial(jax.jit, static_argnames="resize")
def features(
    network: I3D, video: UInt8[Array, "N T H W C"], resize: Resize = "tf1"
) -> Float[Array, "N 400"]:
    """FVD's features of uint8 clips; gray clips count as RGB.

    Errors: ValueError for fewer than `FEWEST_FRAMES` frames.
    """
    T = video.shape[1]
    if T < FEWEST_FRAMES:
        raise ValueError(f"I3D takes {FEWEST_FRAMES} frames or more, not {T}")
    return logits(network, as_input(video, resize))


def as_input(
    video: UInt8[Array, "N T H W C"], resize: Resize
) -> Float[Array, "N T 224 224 3"]:
    """Resize frames to 224×224 without rounding, and scale them to -1..1.

    The rule `crop` scales them to -½..½.
    """
    N, T, H, W, _ = video.shape
    rows, columns = (
        jnp.asarray(weights, jnp.float32) for weights in resizing(H, W, resize)
    )
    frames = jnp.einsum(
        "yh,nthwc,xw->ntyxc",
        *(rows, video.astype(jnp.float32), columns),
        precision=lax.Precision.HIGHEST,
    )
    scaled = frames / 255 - 0.5 if resize == "crop" else 2 * frames / 255 - 1
    return jnp.broadcast_to(scaled, (N, T, SIDE, SIDE, 3))


def resizing(
    H: int, W: int, resize: Resize
) -> tuple[Float64[np.ndarray, "224 H"], Float64[np.ndarray, "224 W"]]:
    """Matrices that resize the rows and the columns of a frame."""
    if resize != "crop":
        return bilinear_weights(H, SIDE, resize), bilinear_weights(W, SIDE, resize)
    scale = SIDE / min(H, W)
    sides = (SIDE, ceil(W * scale)) if H < W else (ceil(H * scale), SIDE)

    def middle(old: int, new: int) -> Float64[np.ndarray, "224 old"]:
        first = (new - SIDE) // 2
        return bilinear_weights(old, new, "half-pixel")[first : first + SIDE]

    return middle(H, sides[0]), middle(W, sides[1])


def bilinear_weights(
    old: int, new: int, resize: Resize
) -> Float64[np.ndarray, "new old"]:
    """Matrix that resizes a line of `old` pixels to `new`; rows sum to 1."""
    scale = old / new
    place = np.arange(new) * scale
    if resize == "half-pixel":
        place = np.maximum(place + scale / 2 - 0.5, 0)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, old - 1)
    share = place - below
    weights = np.zeros((new, old))
    np.add.at(weights, (np.arange(new), below), 1 - share)
    np.add.at(weights, (np.arange(new), above), share)
    return weights


def logits(network: I3D, video: Float[Array, "N T 224 224 3"]) -> Float[Array, "N 400"]:
    """Logits of the 400 actions, averaged over time, of clips in -1..1."""
    x = _conv(network.conv_1a, video, frames=7, stride=2)
    x = _max_pool(x, (1, 3, 3), (1, 2, 2))
    x = _conv(network.conv_2c, _conv(network.conv_2b, x), frames=3)
    x = _max_pool(x, (1, 3, 3), (1, 2, 2))
    for name, block in network.mixed.items():
        if name == "Mixed_4b":
            x = _max_pool(x, (3, 3, 3), (2, 2, 2))
        if name == "Mixed_5b":
            x = _max_pool(x, (2, 2, 2), (2, 2, 2))
        x = _mixed(block, x)
    over_pixels = x.mean(axis=(2, 3))
    over_two_steps = (over_pixels[:, :-1] + over_pixels[:, 1:]) / 2
    kernel, bias = network.logits
    scores = jnp.dot(over_two_steps, kernel[0, 0], precision=lax.Precision.HIGHEST)
    return (scores + bias).mean(axis=1)


def self_test(network: I3D, frames: int = 16) -> float:
    """FVD of black clips against white ones, as in `SELF_TEST`."""
    black = jnp.zeros((1, frames, 64, 64, 3), jnp.uint8)
    difference = features(network, black) - features(network, black + 255)
    return float(np.square(np.asarray(difference, np.float64)).sum())


def _mixed(block: Mixed, x: Float[Array, "N T H W C"]) -> Float[Array, "N T H W c"]:
    wide_in, narrow_in = (
        conv.kernel.shape[2] // 3 for conv in (block.wide, block.narrow)
    )
    before = _conv(block.pointwise, x)
    zero = before.shape[-1] - wide_in - narrow_in
    first, wide, narrow = jnp.split(before, (zero, zero + wide_in), axis=-1)
    branches = (
        first,
        _conv(block.wide, wide, frames=3),
        _conv(block.narrow, narrow, frames=3),
        _conv(block.pooled, _max_pool(x, (3, 3, 3), (1, 1, 1))),
    )
    return jnp.concatenate(branches, axis=-1)


def _conv(
    conv: Conv, x: Float[Array, "N T H W C"], frames: int = 1, stride: int = 1
) -> Float[Array, "N t h w O"]:
    """Convolution over `frames` frames with TensorFlow's SAME padding, then ReLU."""
    N, T, H, W, _ = x.shape
    (padding,) = lax.padtype_to_pads((T,), (frames,), (stride,), "SAME")
    padded = jnp.pad(x, ((0, 0), padding, (0, 0), (0, 0), (0, 0)))
    steps = -(-T // stride)
    seen = [padded[:, k : k + stride * (steps - 1) + 1 : stride] for k in range(frames)]
    side_by_side = jnp.concatenate(seen, axis=-1)  # [N, t, H, W, frames·C]
    frames_of_steps = side_by_side.reshape(N * steps, H, W, -1)
    direct = partial(
        lax.conv_general_dilated,
        window_strides=(stride, stride),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    fast = convolve if frames == 3 and H >= FEWEST_ROWS else direct
    convolved = lax.platform_dependent(
        frames_of_steps, conv.kernel, cpu=fast, default=direct
    )
    return jax.nn.relu(convolved + conv.bias).reshape(N, steps, *convolved.shape[1:])


def _max_pool(
    x: Float[Array, "N T H W C"],
    window: tuple[int, int, int],
    stride: tuple[int, int, int],
) -> Float[Array, "N t h w C"]:
    """Max pooling with TensorFlow's SAME padding, axis by axis: much faster on CPUs."""
    for axis in (1, 2, 3):
        shape, strides = [1] * 5, [1] * 5
        shape[axis], strides[axis] = window[axis - 1], stride[axis - 1]
        x = lax.reduce_window(x, -jnp.inf, lax.max, shape, strides, "SAME")
    return x


def _folded(
    arrays: Mapping[str, Float32[np.ndarray, "..."]],
    name: str,
    side: int,
    channels: int,
    out: int,
) -> Conv:
    """Fold the batch normalisation (no scale) of a layer into kernel and bias."""
    shape = (side, side, side, channels, out)
    kernel = _array(arrays, f"params/{name}/Conv_0/kernel", shape)
    moments = (1, 1, 1, 1, out)
    mean = _array(arrays, f"batch_stats/{name}/BatchNorm_0/mean", moments)
    variance = _array(arrays, f"batch_stats/{name}/BatchNorm_0/var", moments)
    shift = _array(arrays, f"params/{name}/BatchNorm_0/bias", (out,))
    scale = 1 / np.sqrt(variance.ravel().astype(np.float64) + EPSILON)
    # [kt, kh, kw, C, O] -> [kh, kw, kt·C, O]: frames side by side as channels.
    flat = np.transpose(kernel * scale, (1, 2, 0, 3, 4)).reshape(side, side, -1, out)
    bias = shift - mean.ravel() * scale
    return Conv(jnp.asarray(flat, jnp.float32), jnp.asarray(bias, jnp.float32))


def _array(
    arrays: Mapping[str, Float32[np.ndarray, "..."]], name: str, shape: tuple[int, ...]
) -> Float32[np.ndarray, "..."]:
    """Return the array called `name`. Errors: BadData unless it has this shape."""
    if name not in arrays:
        raise BadData(f"not I3D's weights: {name} is missing")
    if arrays[name].shape != shape:
        found = arrays[name].shape
        raise BadData(f"not I3D's weights: {name} is {found}, should be {shape}")
    return arrays[name]
