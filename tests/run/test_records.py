"""Records: JSON objects that are read back only as they were written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.failure import BadData
from svtcli.run.durable import read_record, write_record

VALUES = {"b": [1, 2.5, None], "a": {"ä": "\udc80", "n": float("inf")}}


def test_a_record_is_read_as_it_was_written(tmp_path):
    write_record(tmp_path / "a.json", VALUES)
    assert read_record(tmp_path / "a.json", "", VALUES) == VALUES
    with pytest.raises(BadData, match="another svt: no c"):
        read_record(tmp_path / "a.json", "", ("a", "c"))


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_flip_is_told_or_nothing_has_changed(tmp_path_factory, place, flip):
    path = tmp_path_factory.mktemp("flip") / "a.json"
    write_record(path, VALUES)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= flip
    path.write_bytes(content)
    try:
        assert read_record(path, "", unsealed=VALUES) == VALUES
    except BadData as told:
        assert told.sentence.startswith(f"{path}: ")  # noqa: PT017 (either is right)


def test_without_a_checksum_only_the_keys_of_before_are_accepted(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": 1}))
    assert read_record(path, "", unsealed=("a", "b")) == {"a": 1}
    for keys in ((), ("b",)):
        with pytest.raises(BadData, match="no checksum"):
            read_record(path, "", unsealed=keys)
