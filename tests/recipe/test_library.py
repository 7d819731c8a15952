"""The shipped recipes: all of them load, and a name finds its file."""

import pytest

from svtcli.failure import Refused
from svtcli.recipe.library import (
    find_recipe,
    read_about,
    shipped_folder,
    shipped_recipes,
)
from svtcli.recipe.load import load_recipe


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_right_and_says_what_it_is(name):
    loaded = load_recipe(name)
    assert loaded.name == name
    assert loaded.recipe.about
    assert read_about(shipped_recipes()[name])


def test_the_quickstart_is_shipped():
    assert "quickstart" in shipped_recipes()


def test_a_path_and_a_name_find_the_same_recipe():
    by_path = find_recipe(str(shipped_folder() / "quickstart.yaml"))
    assert by_path == find_recipe("quickstart")


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(Refused) as caught:
        find_recipe("quikstart")
    assert caught.value.hint == "did you mean quickstart?"


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(Refused, match="a folder"):
        find_recipe(f"{tmp_path}/")
