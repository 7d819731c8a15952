"""MNIST's idx files, written from scikit-learn's real handwritten digits."""

import gzip
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


@cache
def handwritten_digits() -> np.ndarray:
    """1797 real digits, 8×8 enlarged to 20×20 and centred: uint8 [1797, 28, 28]."""
    small = (load_digits().images * (255 / 16)).round().astype(np.uint8)
    large = [Image.fromarray(each).resize((20, 20), Image.BICUBIC) for each in small]
    return np.pad(np.stack(large), ((0, 0), (4, 4), (4, 4)))


def write_idx(path: Path, images: np.ndarray, magic: int = 2051) -> Path:
    """Write uint8 [n, rows, columns] as idx; gzipped where the name ends in .gz."""
    header = np.array([magic, *images.shape], ">i4").tobytes()
    content = header + images.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        gzip.compress(content, mtime=0) if path.suffix == ".gz" else content
    )
    return path


def write_mnist(folder: Path, train: int = 1500, t10k: int = 297) -> Path:
    """A folder with both idx files; no t10k file where `t10k` is 0."""
    digits = handwritten_digits()
    write_idx(folder / "train-images-idx3-ubyte.gz", digits[:train])
    if t10k:
        write_idx(folder / "t10k-images-idx3-ubyte", digits[-t10k:])
    return folder
