"""Runs and checkpoints by name, by step and by path."""

import json
import os

import pytest

from svtcli.failure import BadData, Failure, Refused
from svtcli.recipe.load import LoadedRecipe, recipe_from_text
from svtcli.run.directory import (
    RunFolder,
    find_checkpoint,
    newest_samples,
    run_folder,
    runs_root,
    write_run,
)
from svtcli.run.durable import read_record


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs: `digits` with checkpoints 10 and 200, `empty` without."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)
    for name, steps in (("digits", (10, 200)), ("empty", ())):
        run = run_folder(name)
        for step in steps:
            (run.checkpoints / str(step)).mkdir(parents=True)
        run.path.mkdir(parents=True, exist_ok=True)
        run.recipe_file.write_text("data: {kind: folder}\n")
    (run_folder("digits").checkpoints / "30.part").mkdir()
    return tmp_path / "runs"


def test_runs_are_in_runs_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("SVT_RUNS", raising=False)
    assert str(runs_root()) == "runs"
    monkeypatch.setenv("SVT_RUNS", "/elsewhere")
    assert str(run_folder("a").path) == "/elsewhere/a"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a@3", "-x", "a b", "é"])
def test_a_run_name_is_a_plain_file_name(name):
    with pytest.raises(Refused, match="cannot name a run"):
        run_folder(name)


@pytest.mark.parametrize(
    ("ckpt", "step"),
    [
        ("digits", None),
        ("runs/digits", None),
        ("runs/digits/", None),
        ("digits@10", 10),
        ("runs/digits@200", 200),
        ("runs/digits/checkpoints/10", 10),
        ("runs/digits/checkpoints/10/", 10),
    ],
)
def test_a_checkpoint_is_found_however_it_is_named(runs, ckpt, step):
    run, found = find_checkpoint(ckpt)
    assert run.path.resolve() == (runs / "digits").resolve()
    assert run.name == "digits"
    assert found == step


def test_a_checkpoint_is_found_from_inside_the_run(runs, monkeypatch):
    monkeypatch.chdir(runs / "digits")
    run, _ = find_checkpoint(".")
    assert run.name == "digits"


@pytest.mark.parametrize(
    ("ckpt", "sentence", "hint"),
    [
        ("digit", "no run called 'digit'", "did you mean digits?"),
        ("zzz", "no run called 'zzz'", "digits, empty"),
        ("empty", "no checkpoint here yet", "svt train"),
        ("digits@30", "no checkpoint of step 30", "10, 200"),
        ("digits@last", "must be a number", None),
        ("runs", "not a run folder", None),
        ("runs/digits/checkpoints/30", "no checkpoint of step 30", "10, 200"),
    ],
)
def test_the_error_for_a_missing_run_or_step_lists_existing_ones(
    runs, ckpt, sentence, hint
):
    with pytest.raises(Refused) as caught:
        find_checkpoint(ckpt)
    assert sentence in caught.value.sentence
    assert hint is None or hint in str(caught.value.hint)


def test_the_recipe_of_a_run_is_read_from_its_folder(runs):
    run, text = run_folder("digits"), "data: {kind: folder}"
    with pytest.raises(Refused, match=r"run\.json is missing"):
        run.recipe()
    loaded = LoadedRecipe("d", recipe_from_text(text, "d.yaml"), (), "d.yaml")
    write_run(run, loaded, devices=["cpu"], data_fingerprint="")
    assert run.recipe() == loaded.recipe
    whole = run.recipe_file.read_text()
    for other in (whole[: whole.index("sample:")], whole + "# a note\n", "\xff"):
        run.recipe_file.write_text(other)
        with pytest.raises(Failure, match=r"recipe\.yaml"):
            run.recipe()


def test_the_recipe_of_an_older_run_is_known_by_its_values(runs):
    run, text = run_folder("digits"), "data: {kind: folder}"
    loaded = LoadedRecipe("d", recipe_from_text(text, "d.yaml"), (), "d.yaml")
    write_run(run, loaded, devices=["cpu"], data_fingerprint="")
    facts = read_record(run.run_file, "")
    del facts["recipe_crc32c"]
    run.run_file.write_text(json.dumps(facts))
    assert run.recipe() == loaded.recipe
    run.recipe_file.write_text(text + "\ntrain: {batch: 65}")
    with pytest.raises(BadData, match=r"recipe\.yaml: changed since"):
        run.recipe()
    with pytest.raises(Refused, match="not a run folder"):
        RunFolder(runs).recipe()


def test_the_newest_finished_samples_are_those_written_last(runs):
    with pytest.raises(Refused, match="no finished samples"):
        newest_samples()
    for age, name in enumerate(["step-200", "step-10"]):
        file = run_folder("digits").samples / name / "samples.json"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (1000 - age, 1000 - age))
    (run_folder("digits").samples / "unfinished").mkdir()
    assert newest_samples().name == "step-200"
