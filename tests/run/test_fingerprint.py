"""Fingerprints: equal for equal contents, in every process; different otherwise."""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.recipe.model import Model
from svtcli.run.durable import fingerprint, fingerprint_file

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@dataclass(frozen=True)
class Point:
    x: int
    y: tuple[int, ...]


@given(st.lists(values, max_size=3))
def test_a_copy_has_the_same_fingerprint(parts):
    assert fingerprint(*parts) == fingerprint(*parts)


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_keys_does_not_count(mapping):
    backwards = dict(reversed(mapping.items()))
    assert fingerprint(mapping) == fingerprint(backwards)


@given(st.lists(st.integers() | st.text()), st.lists(st.integers() | st.text()))
def test_different_values_have_different_fingerprints(one, other):
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        ((1,), ("1",)),
        ((1,), (1.0,)),
        ((True,), (1,)),
        ((None,), ("null",)),
        (([1, 2], 3), ([1], 2, 3)),
    ],
)
def test_look_alikes_differ(one, other):
    assert fingerprint(*one) != fingerprint(*other)


def test_a_tuple_is_the_list_it_becomes_in_json():
    assert fingerprint((1, (2,))) == fingerprint([1, [2]])


def test_a_dataclass_counts_with_all_its_fields():
    assert fingerprint(Point(1, (2,))) == fingerprint({"x": 1, "y": [2]})
    model = Model()
    assert fingerprint(model) != fingerprint(replace(model, d=513))


def test_it_is_the_same_in_another_process():
    code = "from svtcli.run.durable import *; print(fingerprint({'b': 1, 'a': 'é'}))"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == fingerprint({"a": "é", "b": 1})


def test_values_without_json_are_refused():
    with pytest.raises(TypeError, match="set has no fingerprint"):
        fingerprint({1})
    with pytest.raises(TypeError, match="key must be text"):
        fingerprint({1: 2})


def test_a_path_counts_as_its_text():
    assert fingerprint(Path("a") / "b") == fingerprint("a/b")


def test_a_file_is_named_by_its_bytes(tmp_path):
    (tmp_path / "empty").touch()
    known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert fingerprint_file(tmp_path / "empty") == known
    (tmp_path / "full").write_bytes(b"x")
    assert fingerprint_file(tmp_path / "full") != known
