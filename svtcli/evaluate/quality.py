"""PSNR and SSIM of sampled video against its ground truth, and mean and best of K.

Axes: `N` videos, `K` continuations of each, `F` frames. Everything is computed in
float64 on lossless uint8, with a data range of 1 (pixels / 255).
"""

from dataclasses import dataclass
from math import log10, sqrt

import numpy as np
from jaxtyping import Float64, UInt8

from svtcli.failure import Refused

PSNR_CAP = 100.0
"""Upper limit of PSNR in dB, which would be infinite for identical frames."""
WINDOW = 11
"""Side of SSIM's Gaussian window, in pixels."""

_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2  # (k₁ · range)², (k₂ · range)²
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec.601
_AT_ONCE = 2**16  # values of SSIM at a time: in float64 they fit into the CPU's cache


@dataclass(frozen=True)
class Quality:
    """One metric of N videos with K continuations each.

    A continuation's value is the mean over its predicted frames. The errors are the
    standard errors over videos (ddof 1), None for a single video.
    """

    mean_of_k: float
    mean_error: float | None
    mean_per_frame: tuple[float, ...]
    """Mean of each predicted frame over all continuations."""
    best_of_k: float
    """Value of each video's best continuation, averaged over videos."""
    best_error: float | None
    best_per_frame: tuple[float, ...]
    """Each predicted frame of the best continuations, whose mean is `best_of_k`."""
    capped: int
    """Predicted frames, among all N · K · F, with the metric's upper limit."""
    k: int


def quality(
    values: Float64[np.ndarray, "N K F"],
    prime: int,
    *,
    higher_is_better: bool = True,
    cap: float | None = None,
) -> Quality:
    """Summarise a metric's values of all frames but the `prime` first ones.

    Errors: Refused if no frame is left; ValueError without videos or continuations.
    """
    N, K, F = values.shape
    if N == 0 or K == 0:
        raise ValueError(f"{N} videos with {K} continuations cannot be summarised")
    if not 0 <= prime < F:
        raise Refused(
            f"{F} frames with {prime} prime frames leave none to compare",
            "compare longer videos, or take fewer prime frames",
        )
    predicted = values[:, :, prime:]
    per_continuation = predicted.mean(axis=2)  # [N, K]
    per_video = per_continuation.mean(axis=1)
    loss = -per_continuation if higher_is_better else per_continuation
    best = predicted[np.arange(N), loss.argmin(axis=1)]  # [N, F - prime]
    return Quality(
        mean_of_k=float(per_video.mean()),
        mean_error=_standard_error(per_video),
        mean_per_frame=tuple(map(float, predicted.mean(axis=(0, 1)))),
        best_of_k=float(best.mean()),
        best_error=_standard_error(best.mean(axis=1)),
        best_per_frame=tuple(map(float, best.mean(axis=0))),
        capped=0 if cap is None else int((predicted == cap).sum()),
        k=K,
    )


def psnr(
    video: UInt8[np.ndarray, "*batch F H W C"],
    truth: UInt8[np.ndarray, "*batch F H W C"],
) -> Float64[np.ndarray, "*batch F"]:
    """PSNR of each frame: 10 log₁₀(1 / mean squared error) dB, at most `PSNR_CAP`."""
    values = np.empty(video.shape[:-3])
    for frame in np.ndindex(values.shape):
        difference = video[frame].astype(np.int32) - truth[frame]
        squares = int(np.square(difference).sum(dtype=np.int64))
        error = squares / (difference.size * 255**2)
        values[frame] = min(PSNR_CAP, -10 * log10(error)) if error else PSNR_CAP
    return values


def ssim(
    video: UInt8[np.ndarray, "*batch F H W C"],
    truth: UInt8[np.ndarray, "*batch F H W C"],
    *,
    gray: bool = False,
) -> Float64[np.ndarray, "*batch F"]:
    """Structural similarity of each frame (Wang et al. 2004), mean over its channels.

    Statistics are weighted by an 11×11 Gaussian with σ 1.5, at all places where it lies
    within the frame. `gray` compares the luma (Rec.601, not rounded) of RGB. Errors:
    Refused for frames smaller than the window.
    """
    *batch, H, W, C = video.shape
    if min(H, W) < WINDOW:
        raise Refused(
            f"SSIM needs {WINDOW}x{WINDOW} pixels and frames are only {H}x{W}",
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
    mean_a, mean_b = _weighted(a), _weighted(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = _weighted(a * b) - product
    variances = _weighted(a**2 + b**2) - squares  # both in one: only their sum is used
    luminance = (2 * product + _C1) / (squares + _C1)
    structure = (2 * covariance + _C2) / (variances + _C2)
    return luminance * structure


def _weighted(planes: Float64[np.ndarray, "n C H W"]) -> Float64[np.ndarray, "n C h w"]:
    """Gaussian mean around each place, by rows and by columns."""
    H, W = planes.shape[2:]
    return _gaussian(H) @ (planes @ _gaussian(W).T)


def _gaussian(length: int) -> Float64[np.ndarray, "places length"]:
    """Weights of the window at each place of a line, as a banded matrix.

    At the sizes of video its product is faster than 11 shifted sums.
    """
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    places = length - WINDOW + 1
    matrix = np.zeros((places, length))
    for place in range(places):
        matrix[place, place : place + WINDOW] = weights
    return matrix


def _planes(
    frames: UInt8[np.ndarray, "n H W C"], *, gray: bool
) -> Float64[np.ndarray, "n c H W"]:
    """Scale pixels to 0..1, with channels first; `gray` reduces RGB to its luma."""
    scaled = np.moveaxis(frames, -1, 1) / 255.0
    if gray and scaled.shape[1] == 3:
        return np.einsum("nchw,c->nhw", scaled, _LUMA)[:, None]
    return np.ascontiguousarray(scaled)


def _standard_error(videos: Float64[np.ndarray, " N"]) -> float | None:
    """Standard error of the mean over videos; None for a single one."""
    if len(videos) == 1:
        return None
    return float(videos.std(ddof=1) / sqrt(len(videos)))
