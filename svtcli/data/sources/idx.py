"""MNIST's idx files: big-endian sizes, then bytes."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.failure import BadData

IMAGES = 2051
"""Magic number: unsigned bytes, three axes. Labels have 2049."""


def read_idx_images(path: Path) -> UInt8[np.ndarray, "n rows columns"]:
    """The images of an idx file, gzipped or not. Errors: `BadData`."""
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(0, 16, 4)]
    magic, count, rows, columns = sizes
    if len(content) < 16 or magic != IMAGES:
        raise BadData(
            f"{path}: not idx images (magic number {magic}, expected {IMAGES}"
            + (", 2049 are labels)" if magic == 2049 else ")")
        )
    if len(content) != 16 + count * rows * columns:
        raise BadData(
            f"{path}: {len(content)} bytes do not hold {count} images of "
            f"{rows} x {columns} pixels: is the download whole?"
        )
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, rows, columns)
