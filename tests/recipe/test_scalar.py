"""YAML 1.2's core schema, by the examples of its specification and of its readers."""

import pytest

from svtcli.recipe.document import core_value


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 1e-3),
        ("12e03", 12e3),
        ("0.", 0.0),
        (".5", 0.5),
        ("-1.5E+2", -150.0),
        ("010", 10),
        ("0o17", 15),
        ("0xfF", 255),
        ("-.INF", float("-inf")),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
    ],
)
def test_numbers_booleans_and_null_are_those_of_yaml_1_2(word, value):
    read = core_value(word)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "word",
    ["on", "off", "yes", "no", "y", "1_000", "1:30", "0b11", "e3", ".", "-", "tRue"],
)
def test_what_only_yaml_1_1_takes_for_a_number_or_boolean_is_text(word):
    assert core_value(word) == word


def test_a_number_too_long_to_read_is_text():
    assert isinstance(core_value("9" * 5000), str)
