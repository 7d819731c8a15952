import gzip
from pathlib import Path

import numpy as np
import pytest

from svtcli.data.sources.idx import read_idx_images
from svtcli.failure import BadData
from tests.idx_files import handwritten_digits, write_idx


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
        (np.array([2049, 3], ">i4").tobytes() + b"abc" * 5, "2049 are labels"),
        (np.array([2051, 2, 3, 3], "<i4").tobytes() + bytes(18), "not idx images"),
        (np.array([2051, 2, 3, 3], ">i4").tobytes() + bytes(17), "download whole"),
        (np.array([2051, 2, 3, 3], ">i4").tobytes() + bytes(19), "download whole"),
        (gzip.compress(bytes(range(256)) * 9)[:-20], "cannot be read"),
    ],
)
def test_what_is_not_idx_says_so(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(BadData, match=says) as caught:
        read_idx_images(path)
    assert str(path) in caught.value.sentence
