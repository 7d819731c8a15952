"""Commands that svt tells its user to type work when pasted, from where the user is."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.recipe.load import load_recipe
from svtcli.run.directory import RunFolder, find_run, runs_root
from svtcli.run.names import (
    recipe_command,
    run_argument,
    samples_argument,
    shortened,
    typed,
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)


def a_run(path="runs/bikes"):
    run = RunFolder(Path(path))
    run.path.mkdir(parents=True)
    run.recipe_file.write_text("")
    return run


def test_words_are_quoted_and_a_path_never_reads_as_a_flag():
    words = typed("svt", "render", Path("-my clips"), "it's")
    assert shlex.split(words) == ["svt", "render", "./-my clips", "it's"]


@pytest.mark.parametrize("root", ["runs", "my runs"])
def test_a_run_is_called_by_its_name_where_that_finds_it(monkeypatch, root):
    if root != "runs":
        monkeypatch.setenv("SVT_RUNS", root)
    run = a_run(f"{root}/bikes")
    assert run_argument(run) == "bikes"
    assert find_run("bikes").path == runs_root() / "bikes"
    Path("bikes").mkdir()
    assert run_argument(run) == run.path, "another folder has the name"
    elsewhere = a_run("elsewhere/bikes")
    assert run_argument(elsewhere) == elsewhere.path


def test_samples_are_called_by_their_run_only_while_they_are_its_newest():
    run = a_run()
    for name in ("100", "200"):
        (run.samples / name).mkdir(parents=True)
        (run.samples / name / "samples.json").write_text("{}")
    assert samples_argument(run.samples / "200") == "bikes"
    assert samples_argument(run.samples / "100") == run.samples / "100"
    assert samples_argument(Path("mine")) == Path("mine")


def test_a_recipe_s_command_has_its_file_its_overrides_and_its_run(tmp_path):
    Path("my recipe.yaml").write_text("base: quickstart\n")
    loaded = load_recipe("my recipe.yaml", ["train.steps=50"])
    run = RunFolder(Path("runs/other"))
    words = shlex.split(recipe_command("train", loaded, run, "--fresh"))
    assert words == [
        *("svt", "train", "my recipe.yaml", "train.steps=50"),
        *("--run", "other", "--fresh"),
    ]
    shipped = load_recipe("quickstart")
    assert recipe_command("run", shipped) == "svt run quickstart"
    same = replace(loaded, name="quickstart")  # a file of the name of a shipped one
    assert "my recipe.yaml" in recipe_command("run", same)


def test_long_names_are_shortened_and_stay_apart():
    one, other = ("a" * 90 + letter for letter in "bc")
    short = shortened(one, 48)
    assert len(short) == 48
    assert short != shortened(other, 48)
    assert shortened("bikes", 48) == "bikes"
