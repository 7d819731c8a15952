"""Bilinear resizing as a matrix, the way FVD's reference resizes frames to 224.

TensorFlow 1's `resize_bilinear` samples output pixel i at i·old/new of the input: the
first pixels of both coincide, no half-pixel shift, no antialiasing. PyTorch's
`interpolate(align_corners=False)` samples at (i + ½)·old/new - ½. FVD differs by some
per cent between the two, so a number is worth nothing without its mode.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float64

Resize = Literal["tf1", "half-pixel"]


def bilinear_weights(
    old: int, new: int, resize: Resize
) -> Float64[np.ndarray, "new old"]:
    """What each of the `new` pixels of a line takes of the `old`; rows sum to 1."""
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
