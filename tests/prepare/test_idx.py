import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from svtcli.failure import BadData
from svtcli.prepare.sources.digits import read_idx_images
from tests.idx_files import handwritten_digits, write_idx

IDX = np.array([2051, 2, 3, 3], ">i4").tobytes()
"""The header of two images of 3 x 3."""


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "images.gz"])
def test_images_come_back_as_they_were_written(tmp_path: Path, name: str) -> None:
    digits = handwritten_digits()[:50, :, :20]
    np.testing.assert_array_equal(
        read_idx_images(write_idx(tmp_path / name, digits)), digits
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not idx images"),
        (b"<html>404 not found</html>", "not idx images"),
        (np.array([2049, 3], ">i4").tobytes() + b"abc" * 5, "holds labels"),
        (np.array([2051, 2, 3, 3], "<i4").tobytes() + bytes(18), "not idx images"),
        (IDX + bytes(17), "download complete"),
        (IDX + bytes(19), "download complete"),
        (gzip.compress(b"\0\0\x08\x03" + bytes(range(12)) * 9)[:-9], "are refused"),
        (gzip.compress(IDX + bytes(range(18)))[:-9], "cannot be read"),
    ],
    # A gzip holds the time: as names, two workers of xdist would not find them equal.
    ids=["nothing", "a page", "labels", "little", "short", "long", "a bomb", "cut"],
)
def test_other_contents_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(BadData, match=says) as caught:
        read_idx_images(path)
    assert str(path) in caught.value.sentence


def test_a_gzip_is_never_unpacked_further_than_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(IDX + bytes(1 << 26), 1))
    with pytest.raises(BadData, match="more bytes do not hold 2 images"):
        peak_of(lambda: read_idx_images(path), 1 << 20)


def peak_of(run: Callable[[], object], most: int) -> None:
    """Run it, with at most so many bytes taken from Python's memory at a time."""
    tracemalloc.start()
    try:
        run()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most, f"took {peak} bytes"


def test_a_header_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(np.array([2051, 1 << 30, 28, 28], ">i4").tobytes())
    with pytest.raises(BadData, match="are refused"):
        read_idx_images(path)


def test_a_gzip_with_a_wrong_checksum_is_an_error(tmp_path: Path) -> None:
    content = IDX + bytes(18)
    packed = bytearray(gzip.compress(content))
    packed[-8] ^= 1
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(packed)
    with pytest.raises(BadData, match="cannot be read"):
        read_idx_images(path)
