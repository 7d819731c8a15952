"""MNIST's idx files: big-endian sizes, then bytes."""

import gzip
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.failure import BadData, in_words

IMAGES, LABELS = 2051, 2049
"""Magic numbers: unsigned bytes with three axes, and with one."""
HEADER = 16
LIMIT = 1 << 30
"""Bytes that a header may announce; MNIST has 47 million."""


def read_idx_images(path: Path) -> UInt8[np.ndarray, "n rows columns"]:
    """Read the images of an idx file, gzipped or not.

    Never more is unpacked than the header announces. Errors: `BadData`.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return _images(path, raw)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _images(path, unpacked)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(
            f"{path}: cannot be read ({in_words(error)})", "is the download complete?"
        ) from error


def _images(path: Path, file: BufferedIOBase) -> UInt8[np.ndarray, "n rows columns"]:
    head = file.read(HEADER)
    magic, count, rows, columns = (
        int.from_bytes(head[i : i + 4], "big") for i in range(0, HEADER, 4)
    )
    if len(head) < HEADER or magic != IMAGES:
        found = "holds labels" if magic == LABELS else "not idx images"
        raise BadData(
            f"{path}: {found} (magic number {magic}, expected {IMAGES})",
            "take the file with `images` in its name",
        )
    announced = count * rows * columns
    if announced > LIMIT:
        raise BadData(
            f"{path}: announces {count} images of {rows} x {columns} pixels; more than "
            f"{LIMIT} bytes are refused"
        )
    # One byte more tells a file that goes on; its end checks the gzip's own checksum.
    content = file.read(announced + 1)
    if len(content) != announced:
        held = "more bytes" if len(content) > announced else f"{len(content)} bytes"
        raise BadData(
            f"{path}: {held} do not hold {count} images of {rows} x {columns} pixels: "
            "is the download complete?"
        )
    return np.frombuffer(content, np.uint8).reshape(count, rows, columns)
