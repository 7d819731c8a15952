"""`tf.train.Example`: what protobuf's own wire format says, written by hand."""

import struct
from pathlib import Path

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from svtcli.prepare.sources.tfrecord import (
    BadExample,
    Example,
    parse_example,
    read_records,
)
from tests.prepare.record_files import bair_features, bair_video, encode_example

THEIRS = (
    "4800000000000000fe92489d"
    "0a460a190a05636f756e7412101a0e0a0cffffffffffffffffff01ac02"
    "0a110a077069637475726512060a040a0200ff"
    "0a160a06616374696f6e120c120a0a080000003f000080bf"
    "f1319285"
)
"""A file that the package tfrecord 1.14.6 wrote, with its own example.proto and the
package crc32c: picture = [00 ff], action = [0.5, -1], count = [-1, 300]."""

values = st.one_of(
    st.lists(st.binary(max_size=9), max_size=3),
    hnp.arrays(np.float32, st.integers(0, 4)),
    hnp.arrays(np.int64, st.integers(0, 4)),
)


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field of a message; short ones only."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def example_bytes(key: bytes, feature: bytes) -> bytes:
    return field(1, field(1, field(1, key) + field(2, feature)))


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_encoded_examples_are_parsed(features: dict) -> None:
    parsed = parse_example(encode_example(features))
    assert set(parsed) == set(features)
    assert len(parsed) == len(features)
    for key, value in features.items():
        if isinstance(value, list):
            assert parsed[key] == value
        else:
            np.testing.assert_array_equal(parsed[key], value)
            assert parsed[key].dtype == value.dtype


def test_packed_and_unpacked_numbers_are_the_same() -> None:
    one, two = struct.pack("<f", 1.5), struct.pack("<f", -2.0)
    packed = example_bytes(b"a", field(2, field(1, one + two)))
    unpacked = example_bytes(b"a", field(2, b"\x0d" + one + b"\x0d" + two))
    for data in (packed, unpacked):
        np.testing.assert_array_equal(parse_example(data)["a"], np.float32([1.5, -2]))
    packed = example_bytes(b"a", field(3, field(1, b"\x07\x96\x01")))
    unpacked = example_bytes(b"a", field(3, b"\x08\x07\x08\x96\x01"))
    for data in (packed, unpacked):
        np.testing.assert_array_equal(parse_example(data)["a"], [7, 150])


def test_a_file_of_the_tfrecord_package_is_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.tfrecord"
    path.write_bytes(bytes.fromhex(THEIRS))
    (record,) = read_records(path)
    assert isinstance(record, bytes)
    parsed = parse_example(record)
    assert parsed["picture"] == [b"\x00\xff"]
    np.testing.assert_array_equal(parsed["action"], np.float32([0.5, -1]))
    np.testing.assert_array_equal(parsed["count"], [-1, 300])
    assert len(parsed) == 3


def test_a_missing_key_is_not_added() -> None:
    parsed = parse_example(encode_example({"a": [b"x"]}))
    assert parsed.get("b") is None
    assert 5 not in parsed
    with pytest.raises(KeyError):
        parsed["b"]
    assert list(parsed) == ["a"]


def test_a_feature_without_a_kind_is_missing() -> None:
    parsed = parse_example(example_bytes(b"a", b""))
    assert "a" not in parsed
    assert len(parsed) == 0


def test_the_same_values_give_the_same_bytes() -> None:
    features = bair_features(bair_video("train", 256, 0))
    backwards = dict(reversed(features.items()))
    assert encode_example(features) == encode_example(backwards)


def test_other_numbers_cannot_be_encoded() -> None:
    with pytest.raises(TypeError, match="a: float64 is neither"):
        encode_example({"a": np.zeros(2)})


@pytest.mark.parametrize(
    "data",
    [b"\x0a\x05ab", b"\xff" * 12, example_bytes(b"\xff\xfe", field(1, b"")), b"\x07"],
)
def test_malformed_bytes_are_a_clear_error(data: bytes) -> None:
    with pytest.raises(BadExample, match=r"not a tf\.train\.Example"):
        parse_example(data)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_give_an_example_or_a_clear_error(data: bytes) -> None:
    try:
        parsed = parse_example(data)
    except BadExample:
        return
    assert isinstance(parsed, Example)
    assert len([parsed[key] for key in parsed]) == len(parsed)
