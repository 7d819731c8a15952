"""Whatever values a recipe holds, it is accepted or refused with places."""

import contextlib
import json
from dataclasses import fields

from hypothesis import example, given
from hypothesis import strategies as st

from svtcli.recipe.data import FolderData
from svtcli.recipe.document import BadRecipe
from svtcli.recipe.load import recipe_from_text
from svtcli.recipe.schema import SECTIONS

NAMES = sorted(
    {field.name for section in SECTIONS.values() for field in fields(section)}
    | {field.name for field in fields(FolderData)}
    | {"dilated", "x"}
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["folder", "moving-mnist", "all", "time", "gif", "adamw", "x"]),
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
sections = st.dictionaries(st.sampled_from(NAMES), values, max_size=4) | values
recipes = st.dictionaries(
    st.sampled_from(["data", "about", "base", "y", *SECTIONS]), sections, max_size=5
)


@given(recipes)
@example({"data": {"kind": "folder", "kind2": {}}, "model": {"s": [0, 0, 0]}})
@example({"data": {"kind": None}})
@example({"data": {"kind": "folder", "frames": {}}})
@example({"data": {"kind": "folder"}, "model": {"na": []}})
@example({"data": {"kind": "folder"}, "model": {"blocks": [{"dilated": {}}]}})
@example({"data": {"kind": "folder"}, "model": {"blocks": [{"x": {"x": 1}}, {}]}})
@example({"data": {"kind": "folder", "seed": 10**4000}})
def test_any_values_are_a_recipe_or_problems_with_places(keys):
    with contextlib.suppress(BadRecipe):
        recipe_from_text(json.dumps({"data": {"kind": "folder"}} | keys), "r.yaml")
