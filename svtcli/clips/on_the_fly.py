"""Moving MNIST's clips: digits that bounce in a square frame (Srivastava et al. 2015).

Clip i of a split depends on the digits, the seed, the split and i alone: its random
numbers come from a counter. So it has the same pixels in a shard and generated when it
is read (appendix A.1).
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from svtcli.clips.format import BouncingDigits, ClipFacts, remedy
from svtcli.recipe.data import SPLITS
from svtcli.run.durable import check_file, crc32c, replacing
from svtcli.run.samples import write_array

STEP = 0.1
"""Distance that a digit moves in a frame; its room is 1 wide and high."""
ENDING = "digits.npy"


def clip_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """Random numbers of one clip. A negative seed counts back from 2**64."""
    key = np.array([seed % 2**64, SPLITS.index(split)], np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, 0, 0, index], np.uint64))
    )


def digit_path(
    start: Float[np.ndarray, "2"], angle: float, frames: int
) -> Float[np.ndarray, "F 2"]:
    """Return the position (y, x) of a digit in 0…1: step first, then record.

    At a wall the position is clamped and the velocity flips; nothing is reflected.
    """
    # Plain floats: the same additions as NumPy's, bit for bit, in a tenth of the time.
    y, x = start.tolist()
    v_y, v_x = float(np.sin(angle)), float(np.cos(angle))
    path = []
    for _ in range(frames):
        y, x = y + v_y * STEP, x + v_x * STEP
        if y <= 0 or y >= 1:
            y, v_y = min(max(y, 0.0), 1.0), -v_y
        if x <= 0 or x >= 1:
            x, v_x = min(max(x, 0.0), 1.0), -v_x
        path.append((y, x))
    return np.array(path).reshape(frames, 2)


def bouncing_clip(
    digits: UInt8[np.ndarray, "n side side"],
    rng: np.random.Generator,
    count: int,
    frames: int,
    size: int,
    first: int = 0,
) -> UInt8[np.ndarray, "F size size 1"]:
    """Draw `count` digits over each other by maximum, top left at `int(room * place)`.

    Returns frames `first` … `first + frames − 1`, equal to those of a longer clip.
    """
    video = np.zeros((frames, size, size, 1), np.uint8)
    chosen = rng.integers(len(digits), size=count)
    starts, angles = rng.random((count, 2)), rng.random(count) * 2 * np.pi
    side = digits.shape[1]
    for digit, start, angle in zip(digits[chosen], starts, angles, strict=True):
        path = digit_path(start, float(angle), first + frames)[first:]
        corners = ((size - side) * path).astype(int).tolist()
        for frame, (top, left) in enumerate(corners):
            under = video[frame, top : top + side, left : left + side, 0]
            np.maximum(under, digit, out=under)
    return video


def generated_facts(split: str, index: int) -> ClipFacts:
    """Facts of a generated clip, stored or not."""
    return ClipFacts(id=f"{split}/{index:06d}", source="generated")


def write_digits(
    folder: Path,
    split: str,
    digits: UInt8[np.ndarray, "n side side"],
    count: int,
    seed: int,
    frames: int,
) -> BouncingDigits:
    """Store the digits of a split, for clips of `count` of them."""
    path = folder / f"{split}.{ENDING}"
    with replacing(path) as aside:
        write_array(aside, digits)
    return BouncingDigits(path.name, crc32c(path), count, seed, frames)


@lru_cache(maxsize=2)
def read_digits(path: Path, checksum: str) -> UInt8[np.ndarray, "n side side"]:
    """Read the digits of a split, once in each process. Errors: `BadData`."""
    check_file(path, checksum, remedy(path.parent))  # milliseconds for all of MNIST
    digits: np.ndarray = np.load(path, allow_pickle=False)
    digits.flags.writeable = False
    return digits
