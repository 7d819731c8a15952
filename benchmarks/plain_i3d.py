"""I3D written down layer by layer with XLA's own three-dimensional convolutions.

As in a straightforward port: batch normalisations after their convolutions, each
branch of a mixed block on its own. `benchmarks/evaluation.py` measures svt's against
it, and a test holds both equal.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from svtcli.evaluate.fvd.i3d import bilinear_weights

Arrays = Mapping[str, np.ndarray]
MIXED = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
POOLED_BEFORE = {"4b": 3, "5b": 2}


def plain_features(arrays: Arrays, video: jax.Array) -> jax.Array:
    """Features [N, 400] of clips [N, T, H, W, 3] in the levels 0..255."""
    rows, columns = (
        jnp.asarray(bilinear_weights(side, 224, "tf1"), jnp.float32)
        for side in video.shape[2:4]
    )
    x = jnp.einsum(
        "yh,nthwc,xw->ntyxc", rows, video.astype(jnp.float32), columns, precision=HIGH
    )
    x = _unit(arrays, "Conv3d_1a_7x7", 2 * x / 255 - 1, stride=2)
    x = _max_pool(x, (1, 3, 3), (1, 2, 2))
    x = _unit(arrays, "Conv3d_2c_3x3", _unit(arrays, "Conv3d_2b_1x1", x))
    x = _max_pool(x, (1, 3, 3), (1, 2, 2))
    for name in MIXED:
        if side := POOLED_BEFORE.get(name):
            x = _max_pool(x, (side,) * 3, (2, 2, 2))
        x = _mixed(arrays, f"Mixed_{name}", x)
    ones = (1, 1, 1, 1, 1)
    x = lax.reduce_window(x, 0.0, lax.add, (1, 2, 7, 7, 1), ones, "VALID") / 98
    last = "params/Logits/Conv3d_0c_1x1/Conv_0"
    return (_conv(x, arrays[f"{last}/kernel"], 1) + arrays[f"{last}/bias"]).mean(
        axis=(1, 2, 3)
    )


HIGH = lax.Precision.HIGHEST


def _mixed(arrays: Arrays, name: str, x: jax.Array) -> jax.Array:
    def unit(layer: str, x: jax.Array) -> jax.Array:
        return _unit(arrays, f"{name}/{layer}", x)

    branches = (
        unit("Branch_0/Conv3d_0a_1x1", x),
        unit("Branch_1/Conv3d_0b_3x3", unit("Branch_1/Conv3d_0a_1x1", x)),
        unit("Branch_2/Conv3d_0b_3x3", unit("Branch_2/Conv3d_0a_1x1", x)),
        unit("Branch_3/Conv3d_0b_1x1", _max_pool(x, (3, 3, 3), (1, 1, 1))),
    )
    return jnp.concatenate(branches, axis=-1)


def _unit(arrays: Arrays, name: str, x: jax.Array, stride: int = 1) -> jax.Array:
    """Convolution, batch normalisation without scale, ReLU."""
    moments = f"batch_stats/{name}/BatchNorm_0"
    centred = _conv(x, arrays[f"params/{name}/Conv_0/kernel"], stride)
    centred = centred - arrays[f"{moments}/mean"]
    scaled = centred * lax.rsqrt(arrays[f"{moments}/var"] + 1e-3)
    return jax.nn.relu(scaled + arrays[f"params/{name}/BatchNorm_0/bias"])


def _conv(x: jax.Array, kernel: np.ndarray, stride: int) -> jax.Array:
    dimensions = ("NDHWC", "DHWIO", "NDHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride,) * 3, "SAME", dimension_numbers=dimensions, precision=HIGH
    )


def _max_pool(
    x: jax.Array, window: tuple[int, ...], stride: tuple[int, ...]
) -> jax.Array:
    shape, strides = (1, *window, 1), (1, *stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, shape, strides, "SAME")
