"""Recipes from files, bases and overrides, and back to text."""

from dataclasses import replace

import pytest
from hypothesis import given

from svtcli.failure import Refused
from svtcli.recipe.data import FolderData
from svtcli.recipe.document import BadRecipe
from svtcli.recipe.load import (
    dump_recipe,
    find_recipe,
    load_recipe,
    read_about,
    recipe_from_text,
    shipped_recipes,
)
from svtcli.recipe.schema import SECTIONS, Recipe, Train
from svtcli.recipe.setting import settings_of
from tests.recipe.random_recipes import build, keys


def problems(text, *overrides, folder=None):
    """`place: what` of every problem."""
    if folder is None:
        with pytest.raises(BadRecipe) as caught:
            recipe_from_text(text, "r.yaml")
    else:
        (folder / "r.yaml").write_text(text)
        with pytest.raises(BadRecipe) as caught:
            load_recipe(str(folder / "r.yaml"), overrides)
    return [f"{problem.place}: {problem.what}" for problem in caught.value.problems]


@given(keys)
def test_a_dumped_recipe_loads_back_to_itself(keys):
    recipe = build(keys)
    assert recipe_from_text(dump_recipe(recipe), "dumped.yaml") == recipe


@pytest.mark.parametrize(
    "word", ["1e-3", "0o17", "on", "null", "", " a", "a: b", "\x85", "a\nb", "\u2028"]
)
def test_dumped_text_stays_text(word):
    recipe = recipe_from_text("data: {kind: folder}", "r.yaml")
    assert recipe_from_text(dump_recipe(replace(recipe, about=word)), "x").about == word


def test_numbers_are_yaml_1_2_s():
    recipe = recipe_from_text(
        "data: {kind: folder}\ntrain: {learning_rate: 1e-3, epsilon: 1}", "r.yaml"
    )
    assert recipe.train.learning_rate == 0.001
    assert recipe.train.epsilon == 1.0


def test_simulated_data_have_no_source():
    found = problems("data: {kind: push, source: here}\n")
    assert found == ["r.yaml:1:28: data.source: should be left out"]


def test_all_problems_are_said_at_once_each_with_its_place():
    text = (
        "data:\n  kind: folder\n  sise: 32\n"
        'train: {steps: "12", batch: on}\n'
        "model:\n  loss: cods\n  na: [4, x]\n"
    )
    assert [problem.partition("; ")[0] for problem in problems(text)] == [
        "r.yaml:3:3: data.sise: unknown key",
        'r.yaml:4:16: train.steps: should be a whole number, not the text "12"',
        'r.yaml:4:29: train.batch: should be a whole number, not the text "on"',
        'r.yaml:6:9: model.loss: should be codes or deterministic, not the text "cods"',
        'r.yaml:7:11: model.na: should be a whole number, not the text "x"',
    ]


def test_a_problem_shows_its_line_with_a_caret():
    with pytest.raises(BadRecipe) as caught:
        recipe_from_text("data: {kind: folder}\ntrain: {steps: -1}\n", "r.yaml")
    assert caught.value.sentence.splitlines() == [
        "r.yaml:2:16: train.steps: should be greater than 0, not -1",
        "    train: {steps: -1}",
        "                   ^",
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "1:1: the recipe is empty"),
        ("[1]", "1:1: a recipe is made of sections"),
        ("about: x", "1:1: data: is missing"),
        (
            "data: {kind: foldr}",
            "1:14: data.kind: should be folder or arrays or kinetics or bair",
        ),
        ("data: {size: 3}", "1:1: data.kind: is missing"),
        ("data: {kind: folder, frames: -1}", "1:30: data.frames: should be greater"),
        ("data: {kind: folder, frames: x}", "should be a whole number or 'all'"),
        ("data: {kind: folder, match: '['}", "1:29: data.match: not a regular"),
        ("data: {kind: folder, test: .inf}", "data.test: should be"),
        ("data: {kind: folder}\nmodel: {video: [16, 64]}", "2:16: model.video: is too"),
        ("data: {kind: folder}\nmodel: {blocks: [[4, 4, 4, 4]]}", "should have 3"),
        ("data: {kind: folder}\nmodel: {blocks: [{dilatd: [1, 1, 1]}]}", "dilated"),
        ("data: {kind: folder}\nmodel: {blocks: []}", "2:17: model.blocks: is empty"),
        ("data: {kind: folder}\nmodel: {steps: 3}", "did you mean train.steps?"),
        ("data: {kind: folder}\neval: [1]", "2:7: eval: should be a section"),
        ("data: {kind: folder}\nsteps: 1", "did you mean train.steps?"),
        (
            "data: {kind: arrays, fps: 5}",
            "data.fps: unknown key for kind: arrays; it is one of kind: folder",
        ),
    ],
)
def test_a_wrong_value_is_named_in_words(text, what):
    assert any(what in problem for problem in problems(text))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("model: {s: [3, 2, 2]}", "model.s: 3 does not divide the video's time, 16"),
        ("model: {blocks: [[3, 4, 4]]}", "model.blocks: [3, 4, 4] does not divide"),
        ("train: {prime: 16}", "train.prime: should be less than the model's 16"),
        ("sample: {prime: 5, frames: 5}", "sample.prime: should be less than the 5"),
        ("eval: {frames: 1}", "eval.frames: should be greater than or equal to 2"),
        ("sample: {overlap: 16}", "sample.overlap: should be less than"),
        ("model: {video: [16, 32, 32], blocks: [[4, 4, 4]]}", "data.size is 64"),
        ("model: {channels: 1}", "model.channels: should be 3"),
        ("model: {actions: 2}", "model.actions: should be 0, as folder"),
        ("sample: {split: val}", "sample.split: should be train or test, not 'val'"),
        ("eval: {split: tset}", "eval.split: should be train or test"),
        (
            "eval: {also: [train, val]}",
            "eval.also: should be of train, test, not 'val'",
        ),
        ("train: {weight_decay: 0.1}", "train.weight_decay: "),
        (
            "eval: {metrics: [kvd], window: 17}",
            "eval.window: should be at most the 16 frames of a sample",
        ),
        (
            "eval: {metrics: [psnr], sampled_prime: 9, sampled_frames: 9}",
            "eval.sampled_prime: should be less than the 9 frames there are, not 9",
        ),
        ("eval: {window: 8}", "eval.window: should be greater than or equal to 9"),
        ("eval: {metrics: [fvd, fid]}", "eval.metrics: should be likelihood or fvd or"),
    ],
)
def test_sections_that_do_not_fit_together_are_refused(text, what):
    problem, *_ = problems(f"data: {{kind: folder}}\n{text}")
    assert problem.startswith("r.yaml:2:")
    assert what in problem


def test_a_first_slice_decoder_needs_a_row_for_it_and_one_for_the_others():
    text = "data: {kind: folder}\nmodel: {first_slice_layers: 16}\ntrain: {batch: 1}"
    assert "train.batch: should be 2 or more" in problems(text)[0]


def test_clips_must_be_as_long_as_what_is_sampled_of_them():
    data = "data: {kind: bair}\nmodel: {actions: 0}\n"
    (said,) = problems(f"{data}eval: {{metrics: [fvd], sampled_frames: 31}}")
    assert "eval.sampled_frames: 31 frames, but data.frames makes clips of 30" in said


def test_clips_must_be_as_long_as_the_model_s_window():
    text = "data:\n  kind: moving-mnist\n  frames: 8\nmodel: {channels: 1}\n"
    said = problems(text)
    assert any("data.frames makes clips of 8" in problem for problem in said)


def test_an_override_wins_over_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("data: {kind: folder}\ntrain: {steps: 5}\n")
    loaded = load_recipe(
        str(tmp_path / "mine.yaml"), ["train.steps=7", "render.formats=[gif]"]
    )
    assert loaded.name == "mine"
    assert loaded.overrides == ("train.steps=7", "render.formats=[gif]")
    assert (loaded.recipe.train.steps, loaded.recipe.render.formats) == (7, ("gif",))


def test_an_override_sets_a_key_of_a_section_that_the_file_does_not_have(tmp_path):
    (tmp_path / "mine.yaml").write_text("data: {kind: folder}\n")
    loaded = load_recipe(str(tmp_path / "mine.yaml"), ["eval.clips=3", "about=a b"])
    assert loaded.recipe.eval.clips == 3
    assert loaded.recipe.about == "a b"


def test_an_override_without_a_value_unsets_any_key(tmp_path):
    (tmp_path / "r.yaml").write_text(dump_recipe(load_recipe("quickstart").recipe))
    unset = [
        f"{name}.{setting.name}="
        for name, section in {**SECTIONS, "data": FolderData}.items()
        for setting in settings_of(section)
        if setting.name not in ("kind", "clips")
    ]
    unset.remove("eval.baselines=")
    words = [*unset, "about=", "eval.baselines= ", "data.clips=mine"]
    recipe = load_recipe(str(tmp_path / "r.yaml"), words).recipe
    assert recipe == Recipe(FolderData("folder", clips="mine"))


def test_a_file_named_without_its_ending_is_in_the_hint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.yaml", "nine.yaml"):
        (tmp_path / name).touch()
    with pytest.raises(Refused) as refused:
        load_recipe("mine")
    assert refused.value.hint == "did you mean mine.yaml?"


def test_the_default_that_an_override_without_a_value_takes_is_named():
    words = ["train.steps=", "train.seed=5", "train.seed=", "sample.top_k= "]
    loaded = load_recipe("quickstart", [*words, "data.match=", "data.match=bikes"])
    assert loaded.defaults_taken == (
        f"train.steps= without a value: default {Train().steps}",
        "train.seed= without a value: default 0",
        "sample.top_k= without a value: default null",
    )


def test_an_override_unsets_no_key_that_is_unknown_or_needed(tmp_path):
    assert (
        "unknown key; did you mean data.match?"
        in problems("data: {kind: folder}\n", "data.mtch=", folder=tmp_path)[0]
    )
    unset = problems("data: {kind: folder}\n", "data.kind=", folder=tmp_path)
    assert unset[0].endswith("data.kind: is missing")


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("train.steps=abc", "command line:1:13: train.steps: should be a whole number"),
        (
            "train.stepz=3",
            "command line:1:1: train.stepz: unknown key; did you mean train.steps",
        ),
        ("model.s=[4,2", "command line:1:13: not valid YAML"),
        ("model.s=[4,2]", "command line:1:9: model.s: is too short"),
        ("model.s=[3,2,2]", "command line:1:9: model.s: 3 does not divide"),
        ("train.steps", "command line:1:1: an override is section.key=value"),
        ("steps=3", "command line:1:1: an override sets one key of a section"),
        ("a.b.c=3", "command line:1:1: an override sets one key of a section"),
        ("data.source=*mp4", "command line:1:13: aliases"),
        ("data.source=*.mp4", "command line:1:14: not valid YAML"),
        ("render.formats=[gif, bmp]", "command line:1:22: render.formats: should be"),
    ],
)
def test_a_wrong_override_is_shown_in_its_own_text(tmp_path, override, problem):
    first, *_ = problems("data: {kind: folder}\n", override, folder=tmp_path)
    assert first.startswith(problem)


def test_problems_of_file_and_overrides_come_together(tmp_path):
    said = problems(
        "data: {kind: folder, x: 1}\n", "foo", "train.batch=no", folder=tmp_path
    )
    assert len(said) == 3


def test_a_base_is_inherited_key_by_key(tmp_path):
    (tmp_path / "small.yaml").write_text(
        "data: {kind: folder, fps: 4}\ntrain: {steps: 5, batch: 2}\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "base: small\ntrain: {steps: 9}\ndata: {seed: 3}\n"
    )
    recipe = load_recipe(str(tmp_path / "mine.yaml")).recipe
    assert (recipe.train.steps, recipe.train.batch) == (9, 2)
    assert (recipe.data.fps, recipe.data.seed) == (4, 3)


def test_data_of_another_kind_replaces_the_base_s_data(tmp_path):
    (tmp_path / "small.yaml").write_text("data: {kind: folder, fps: 4}\n")
    (tmp_path / "mine.yaml").write_text(
        "base: small.yaml\ndata: {kind: moving-mnist}\nmodel: {channels: 1}\n"
    )
    assert load_recipe(str(tmp_path / "mine.yaml")).recipe.data.kind == "moving-mnist"


def test_a_problem_in_the_base_is_shown_in_the_base(tmp_path):
    base = tmp_path / "small.yaml"
    base.write_text("data: {kind: folder}\ntrain: {steps: x}\n")
    (said,) = problems("base: small\ntrain: {batch: 2}\n", folder=tmp_path)
    assert said.startswith(f"{base}:2:16: train.steps")


def test_what_replaces_a_list_is_shown_where_it_stands_itself(tmp_path):
    (tmp_path / "small.yaml").write_text(
        "data: {kind: folder}\nmodel: {blocks: [{dilated: [1, 1, 1]}]}\n"
    )
    text = "base: small\nmodel:\n  blocks: [{}]\n"
    (said,) = problems(text, folder=tmp_path)
    assert said == f"{tmp_path / 'r.yaml'}:3:12: model.blocks.dilated: is missing"
    (said,) = problems("base: small\n", "model.blocks=[{}]", folder=tmp_path)
    assert said == "command line:1:15: model.blocks.dilated: is missing"


def test_a_base_has_no_base_itself(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {kind: folder}\n")
    (tmp_path / "b.yaml").write_text("base: a\n")
    (said,) = problems("base: b\n", folder=tmp_path)
    assert said.endswith("b has a base itself; a recipe inherits one level")


def test_a_base_that_is_not_there_is_shown_where_it_is_named(tmp_path):
    (said,) = problems("about: x\nbase: nowhere.yaml\n", folder=tmp_path)
    assert said.startswith(f"{tmp_path / 'r.yaml'}:2:7: base: ")


def test_a_huge_file_is_refused_unread(tmp_path):
    (tmp_path / "big.yaml").write_text("#" * 1_000_001)
    with pytest.raises(Refused, match="1 MB"):
        load_recipe(str(tmp_path / "big.yaml"))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "video.yaml").write_bytes(b"\x00\x00\x00\x18ftypmp42\xff\xfe")
    with pytest.raises(Refused, match=r"not UTF-8|not valid YAML"):
        load_recipe(str(tmp_path / "video.yaml"))


def test_a_missing_file_names_the_nearest_one(tmp_path):
    (tmp_path / "mine.yaml").write_text("data: {kind: folder}\n")
    with pytest.raises(Refused) as caught:
        load_recipe(str(tmp_path / "mime.yaml"))
    assert "mine.yaml" in str(caught.value.hint)


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_right_and_says_what_it_is(name):
    loaded = load_recipe(name)
    assert loaded.name == name
    assert loaded.recipe.about
    assert read_about(shipped_recipes()[name])


def test_the_quickstart_is_shipped():
    assert "quickstart" in shipped_recipes()


def test_a_path_and_a_name_find_the_same_recipe():
    by_path = find_recipe(str(shipped_recipes()["quickstart"]))
    assert by_path == find_recipe("quickstart")


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(Refused) as caught:
        find_recipe("quikstart")
    assert caught.value.hint == "did you mean quickstart?"


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(Refused, match="a folder"):
        find_recipe(f"{tmp_path}/")
