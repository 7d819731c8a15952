"""Frames made larger for the eye, by Lanczos' filter. Never for anything measured."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def enlarge_smoothly(
    video: UInt8[np.ndarray, "F H W C"], scale: int
) -> UInt8[np.ndarray, "F height width C"]:
    """Every frame `scale` times as high and as wide; gray stays gray."""
    _, H, W, C = video.shape
    size = scale * W, scale * H
    flat = [frame[..., 0] if C == 1 else frame for frame in video]
    grown = [
        np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
        for frame in flat
    ]
    return np.stack(grown).reshape(-1, scale * H, scale * W, C)
