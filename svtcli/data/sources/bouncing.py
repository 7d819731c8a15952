"""Digits that bounce in a square frame (Srivastava et al. 2015, appendix A.1).

Clip i of a split depends on the seed, the split and i alone: its random numbers come
from a counter, so neither workers nor shards move a pixel.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8

STEP = 0.1
"""How far a digit moves in a frame; its room is 1 wide and high."""
SPLITS = ("train", "val", "test")


def clip_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one clip. A negative seed counts from the other end."""
    key = np.array([seed % 2**64, SPLITS.index(split)], np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, 0, 0, index], np.uint64))
    )


def path_of_digit(
    start: Float[np.ndarray, "2"], angle: float, frames: int
) -> Float[np.ndarray, "F 2"]:
    """Where a digit is, (y, x) in 0…1: step first, then record.

    At a wall the position is clamped and the velocity flips; nothing is reflected.
    """
    place, velocity = start.copy(), np.array([np.sin(angle), np.cos(angle)])
    path = np.empty((frames, 2))
    for frame in range(frames):
        place += velocity * STEP
        outside = (place <= 0) | (place >= 1)
        velocity[outside] *= -1
        place.clip(0, 1, out=place)
        path[frame] = place
    return path


def bouncing_clip(
    digits: UInt8[np.ndarray, "n side side"],
    rng: np.random.Generator,
    count: int,
    frames: int,
    size: int,
) -> UInt8[np.ndarray, "F size size 1"]:
    """`count` digits over each other by maximum, top left at `int(room * place)`."""
    video = np.zeros((frames, size, size, 1), np.uint8)
    chosen = rng.integers(len(digits), size=count)
    starts, angles = rng.random((count, 2)), rng.random(count) * 2 * np.pi
    side = digits.shape[1]
    for digit, start, angle in zip(digits[chosen], starts, angles, strict=True):
        path = path_of_digit(start, float(angle), frames)
        for frame, (top, left) in enumerate(((size - side) * path).astype(int)):
            under = video[frame, top : top + side, left : left + side, 0]
            np.maximum(under, digit, out=under)
    return video


def level_counts(video: UInt8[np.ndarray, "..."]) -> Int[np.ndarray, "256"]:
    """How often each level occurs."""
    return np.bincount(video.reshape(-1), minlength=256)


def lower_bound(levels: tuple[int, ...], frames: int) -> float:
    """H(z, z) of the pixels z = level / 255 in `levels`, in nats per frame (A.1).

    No model that treats pixels as independent given the past can score below it on
    the frames that were counted, for its best guess is z itself. 0 log 0 is 0.
    """
    z = np.arange(1, 255) / 255
    entropy = np.zeros(256)
    entropy[1:255] = -(z * np.log(z) + (1 - z) * np.log(1 - z))
    return float(np.dot(entropy, np.array(levels, np.float64)) / frames)
