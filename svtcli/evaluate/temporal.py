"""Temporal statistics of video: frame difference, flicker and warping error.

They look at one set of videos alone, and mean something only beside those of the clips:
a still video has zeros. Prime frames are left out.

Axes: `N` videos, `K` continuations of each, `F` frames, `H W C` pixels.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float32, Float64, UInt8

Video = UInt8[np.ndarray, "*batch F H W C"]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec.601


@dataclass(frozen=True)
class Statistic:
    """Statistic of a set of videos: mean over frames, continuations, then videos."""

    mean: float
    error: float | None
    """Standard error over videos (ddof 1); None for a single video."""
    per_frame: tuple[float, ...]

    @classmethod
    def over(cls, values: Float64[np.ndarray, "N K f"]) -> "Statistic":
        """Summarise values of frames."""
        videos = values.mean(axis=(1, 2))
        error = (
            float(videos.std(ddof=1) / sqrt(len(videos))) if len(videos) > 1 else None
        )
        per_frame = tuple(map(float, values.mean(axis=(0, 1))))
        return cls(float(videos.mean()), error, per_frame)


@dataclass(frozen=True)
class Temporal:
    """A temporal statistic of the samples, and of the clips."""

    samples: Statistic
    clips: Statistic
    first: int
    """First frame that is counted."""


def difference(video: Video) -> Float64[np.ndarray, "*batch F-1"]:
    """Mean absolute difference of each frame from the last, in 0..255."""
    return np.abs(np.diff(video.astype(np.int16), axis=-4)).mean(axis=(-3, -2, -1))


def flicker(video: Video) -> Float64[np.ndarray, "*batch F-2"]:
    """Mean absolute difference of a frame from the mean of its neighbours, in 0..255.

    The value of frame t is about t - 2, t - 1 and t: steady change cancels out.
    """
    second = np.diff(video.astype(np.int16), n=2, axis=-4)
    return np.abs(second).mean(axis=(-3, -2, -1)) / 2


def warping(video: Video) -> Float64[np.ndarray, "*batch F-1"]:
    """Warping error of each frame (Lai et al. 2018), pixels in 0..1.

    The last frame is warped onto this one along optical flow (iterative Lucas-Kanade),
    and the squared difference is averaged over the pixels of all channels that are not
    occluded, or over all pixels where all are. Needs the package scikit-image.
    """
    *batch, F = video.shape[:-3]
    values = np.empty((*batch, F - 1))
    for index in np.ndindex(*batch):
        frames = video[index].astype(np.float32) / 255
        for t in range(1, F):
            values[(*index, t - 1)] = _warping_error(frames[t - 1], frames[t])
    return values


def _warping_error(
    last: Float32[np.ndarray, "H W C"], frame: Float32[np.ndarray, "H W C"]
) -> float:
    from skimage.registration import optical_flow_ilk
    from skimage.transform import warp

    lumas = [
        each @ _LUMA if each.shape[-1] == 3 else each[..., 0] for each in (last, frame)
    ]
    back = optical_flow_ilk(lumas[1], lumas[0])  # where each pixel came from
    forth = optical_flow_ilk(lumas[0], lumas[1])
    source = np.indices(lumas[0].shape) + back

    def warped(plane: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
        return warp(plane, source, order=1, mode="edge", preserve_range=True)

    visible = ~_occluded(back, np.stack([warped(flow) for flow in forth]))
    limits = np.array(lumas[0].shape)[:, None, None] - 1
    visible &= ((source >= 0) & (source <= limits)).all(axis=0)
    if not visible.any():
        visible[:] = True
    planes = [warped(last[..., channel]) for channel in range(last.shape[-1])]
    return float(np.square(np.stack(planes, -1) - frame)[visible].mean())


def _occluded(
    back: Float32[np.ndarray, "2 H W"], forth: Float32[np.ndarray, "2 H W"]
) -> np.ndarray:
    """Pixels whose flow back and forth does not return (Ruder et al. 2016)."""
    miss = np.square(back + forth).sum(axis=0)
    length = (np.square(back) + np.square(forth)).sum(axis=0)
    return miss > 0.01 * length + 0.5
