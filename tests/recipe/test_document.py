"""Reading YAML with places, and refusing what a recipe does not need."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.recipe.document import MOST_DEPTH, BadRecipe, Text, read_document


def read(text):
    return read_document(Text("r.yaml", text))


def refusal(text):
    with pytest.raises(BadRecipe) as caught:
        read(text)
    return caught.value


def test_every_value_and_key_knows_its_line_and_column():
    document = read("train:\n  steps: 5\n  s: [1,\n    22]\n")
    assert str(document.place(("train", "steps"))) == "r.yaml:2:10"
    assert str(document.place(("train", "steps"), key=True)) == "r.yaml:2:3"
    assert str(document.place(("train", "s", 1))) == "r.yaml:4:5"


def test_what_is_not_there_is_shown_at_the_section_that_lacks_it():
    document = read("about: x\ntrain:\n  steps: 5\n")
    assert str(document.place(("train", "batch"))) == "r.yaml:2:1"
    assert str(document.place(("eval", "batch"))) == "r.yaml:1:1"


def test_quoted_words_are_text():
    assert read("""{a: "1", b: '1', c: 1}""").value == {"a": "1", "b": "1", "c": 1}


def test_a_key_given_twice_is_a_problem_at_the_second_one():
    (problem,) = read("a: 1\nb: 2\na: 3\n").problems
    assert str(problem.place) == "r.yaml:3:1"
    assert "twice, first in line 1" in problem.what


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a: &x 1", "r.yaml:1:4", "anchors"),
        ("a: 1\nb: *x", "r.yaml:2:4", "aliases"),
        ("a: !!python/object:os.system x", "r.yaml:1:4", "tags"),
        ("a: 1\n---\nb: 2", "r.yaml:2:1", "one document"),
        ("a: [1, 2", "r.yaml:1:9", "not valid YAML"),
        ("a:\n\t- 1", "r.yaml:2:1", "not valid YAML"),
        ("a: \x07", "r.yaml:1:4", "not valid YAML"),
    ],
)
def test_yaml_that_a_recipe_may_not_use_is_refused_where_it_stands(text, place, what):
    (problem,) = refusal(text).problems
    assert str(problem.place) == place
    assert what in problem.what


def test_all_unwanted_yaml_is_named_at_once():
    assert len(refusal("a: &x 1\nb: *x\nc: !t 2\n").problems) == 3


def test_deep_nesting_is_refused_before_python_runs_out_of_stack():
    (problem,) = refusal("[" * 10_000).problems
    assert f"deeper than {MOST_DEPTH}" in problem.what


def test_merge_keys_are_refused_with_what_to_use_instead():
    (problem,) = read("a: {<<: {b: 1}}").problems
    assert "base" in problem.what


def test_the_caret_stands_below_its_character_on_a_long_line_too():
    line = "x" * 200 + "!" + "y" * 200
    document = read(f"a: {line}")
    place = document.place(("a",))
    at_mark = type(place)(place.origin, 1, place.source_line.index("!") + 1, line)
    above, below = at_mark.caret().splitlines()
    assert len(above) < 150
    assert len(below) <= len(above)


def test_control_characters_never_reach_the_terminal():
    (problem,) = refusal("a: \x1b[31mred").problems
    assert "\x1b" not in str(problem)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_but_never_breaks_the_reader(text):
    with contextlib.suppress(BadRecipe):
        read(text)
