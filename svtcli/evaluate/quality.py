"""PSNR and SSIM of sampled video against the true one, and best and mean of K.

Axes: `N` videos, `K` continuations of each, `F` frames. Everything is computed in
float64 on lossless uint8, with a data range of 1 (pixels / 255).
"""

from dataclasses import dataclass
from math import log10, sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float64, UInt8

from svtcli.failure import Refused

PSNR_CAP = 100.0
"""PSNR of identical frames, which would be infinite; no frame counts for more."""
WINDOW = 11
"""Side of SSIM's Gaussian window, in pixels."""

_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2  # (k₁ · range)², (k₂ · range)²
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec.601
_AT_ONCE = 2**16  # values: what SSIM has in float64 at a time stays in the CPU's cache


@dataclass(frozen=True)
class Quality:
    """One metric of N videos with K continuations each.

    A continuation's value is the mean over its predicted frames. The errors are the
    standard errors over videos (ddof 1), None for a single video.
    """

    mean_of_k: float
    mean_error: float | None
    mean_per_frame: tuple[float, ...]
    """The mean of each predicted frame over all continuations."""
    best_of_k: float
    """Of each video the continuation with the best value, then the mean over videos."""
    best_error: float | None
    best_per_frame: tuple[float, ...]
    """Each predicted frame of those best continuations: its mean is `best_of_k`."""
    capped: int
    """Predicted frames, among all N · K · F, whose PSNR is the cap; else 0."""
    k: int


def quality(
    metric: Literal["psnr", "ssim", "lpips"],
    values: Float64[np.ndarray, "N K F"],
    prime: int,
) -> Quality:
    """What the values of all frames amount to; the `prime` first ones don't count.

    Best is largest for PSNR and SSIM, smallest for LPIPS. Errors: Refused if no frame
    is left; ValueError without videos or continuations.
    """
    N, K, F = values.shape
    if N == 0 or K == 0:
        raise ValueError(f"{N} videos with {K} continuations have no {metric}")
    if not 0 <= prime < F:
        raise Refused(
            f"{F} frames with {prime} prime frames leave none to compare",
            "compare longer videos, or give fewer prime frames",
        )
    predicted = values[:, :, prime:]
    per_continuation = predicted.mean(axis=2)  # [N, K]
    per_video = per_continuation.mean(axis=1)
    loss = per_continuation if metric == "lpips" else -per_continuation
    best = predicted[np.arange(N), loss.argmin(axis=1)]  # [N, F - prime]
    return Quality(
        mean_of_k=float(per_video.mean()),
        mean_error=_standard_error(per_video),
        mean_per_frame=tuple(map(float, predicted.mean(axis=(0, 1)))),
        best_of_k=float(best.mean()),
        best_error=_standard_error(best.mean(axis=1)),
        best_per_frame=tuple(map(float, best.mean(axis=0))),
        capped=int((predicted == PSNR_CAP).sum()) if metric == "psnr" else 0,
        k=K,
    )


def psnr(
    video: UInt8[np.ndarray, "*batch F H W C"],
    truth: UInt8[np.ndarray, "*batch F H W C"],
) -> Float64[np.ndarray, "*batch F"]:
    """10 log₁₀(1 / mean squared error) of each frame, in dB, at most `PSNR_CAP`."""
    values = np.empty(video.shape[:-3])
    for frame in np.ndindex(values.shape):
        off = video[frame].astype(np.int32) - truth[frame]
        squares = int(np.square(off).sum(dtype=np.int64))
        error = squares / (off.size * 255**2)
        values[frame] = min(PSNR_CAP, -10 * log10(error)) if error else PSNR_CAP
    return values


def ssim(
    video: UInt8[np.ndarray, "*batch F H W C"],
    truth: UInt8[np.ndarray, "*batch F H W C"],
    *,
    gray: bool = False,
) -> Float64[np.ndarray, "*batch F"]:
    """Structural similarity of each frame (Wang et al. 2004), mean over its channels.

    Statistics are weighed by an 11×11 Gaussian of σ 1.5, at the places where it lies
    inside of the frame. `gray` compares the luma (Rec.601, not rounded) of RGB.
    Errors: Refused for frames smaller than the window.
    """
    *batch, H, W, C = video.shape
    if min(H, W) < WINDOW:
        raise Refused(
            f"SSIM looks at {WINDOW}x{WINDOW} pixels and frames are only {H}x{W}",
            "leave ssim out of --metric",
        )
    frames, true_frames = video.reshape(-1, H, W, C), truth.reshape(-1, H, W, C)
    values = np.empty(len(frames))
    count = max(1, _AT_ONCE // (H * W * C))
    for start in range(0, len(frames), count):
        here = slice(start, start + count)
        planes = [_planes(some[here], gray=gray) for some in (frames, true_frames)]
        values[here] = _similarity(*planes).mean(axis=(1, 2, 3))
    return values.reshape(batch)


def _similarity(
    a: Float64[np.ndarray, "n C H W"], b: Float64[np.ndarray, "n C H W"]
) -> Float64[np.ndarray, "n C h w"]:
    """SSIM at each place (equation 13 of Wang et al.)."""
    mean_a, mean_b = _weighed(a), _weighed(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = _weighed(a * b) - product
    variances = _weighed(a**2 + b**2) - squares  # both in one: only their sum is used
    luminance = (2 * product + _C1) / (squares + _C1)
    structure = (2 * covariance + _C2) / (variances + _C2)
    return luminance * structure


def _weighed(planes: Float64[np.ndarray, "n C H W"]) -> Float64[np.ndarray, "n C h w"]:
    """The Gaussian mean around each place, by rows and by columns."""
    H, W = planes.shape[2:]
    return _gaussian(H) @ (planes @ _gaussian(W).T)


def _gaussian(length: int) -> Float64[np.ndarray, "places length"]:
    """The window's weights at each place of a line, as a matrix.

    At the sizes of video, a product with mostly zeros is faster than 11 shifted sums.
    """
    off = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * (off / _SIGMA) ** 2)
    weights /= weights.sum()
    places = length - WINDOW + 1
    matrix = np.zeros((places, length))
    for place in range(places):
        matrix[place, place : place + WINDOW] = weights
    return matrix


def _planes(
    frames: UInt8[np.ndarray, "n H W C"], *, gray: bool
) -> Float64[np.ndarray, "n c H W"]:
    """Pixels in 0..1 by channels, or by their luma alone."""
    scaled = np.moveaxis(frames, -1, 1) / 255.0
    if gray and scaled.shape[1] == 3:
        return np.einsum("nchw,c->nhw", scaled, _LUMA)[:, None]
    return np.ascontiguousarray(scaled)


def _standard_error(videos: Float64[np.ndarray, " N"]) -> float | None:
    """Of the mean over videos; None for a single one."""
    alone = len(videos) == 1
    return None if alone else float(videos.std(ddof=1) / sqrt(len(videos)))
