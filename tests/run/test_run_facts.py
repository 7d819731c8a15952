"""run.json and recipe.yaml: enough to make a run again."""

import json

import pytest

from svtcli.failure import BadData, Refused
from svtcli.recipe.load import load_recipe
from svtcli.run.directory import read_run, run_folder, versions, write_run
from svtcli.run.durable import fingerprint


@pytest.fixture
def written(tmp_path, monkeypatch):
    """(run folder, the recipe it was written for, the facts)."""
    monkeypatch.setenv("SVT_RUNS", str(tmp_path / "runs"))
    (tmp_path / "mine.yaml").write_text("data: {kind: folder}\n")
    loaded = load_recipe(str(tmp_path / "mine.yaml"), ["train.seed=5"])
    folder = run_folder("mine")
    facts = write_run(
        folder,
        loaded,
        devices=["cpu:0"],
        data_fingerprint="abc",
        command=["svt", "train", "mine.yaml"],
    )
    return folder, loaded, facts


def test_the_facts_come_back_as_written(written):
    folder, loaded, facts = written
    assert read_run(folder) == facts
    assert facts.recipe_fingerprint == fingerprint(loaded.recipe)
    assert (facts.seed, facts.overrides) == (5, ("train.seed=5",))


def test_the_recipe_is_kept_with_its_overrides_in_it(written):
    folder, loaded, _ = written
    assert folder.recipe() == loaded.recipe


def test_the_versions_name_python_and_jax():
    assert {"python", "jax", "numpy"} <= versions().keys()


def test_nothing_is_left_beside_the_two_files(written):
    folder, _, _ = written
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "recipe.yaml",
        "run.json",
    ]


def test_a_torn_run_file_is_bad_data(written):
    folder, _, _ = written
    folder.run_file.write_text(folder.run_file.read_text()[:40])
    with pytest.raises(BadData, match=r"run\.json"):
        read_run(folder)
    folder.run_file.write_text(json.dumps({"command": []}))
    with pytest.raises(BadData, match=r"run\.json"):
        read_run(folder)


def test_a_folder_without_run_file_is_no_run(tmp_path, monkeypatch):
    monkeypatch.setenv("SVT_RUNS", str(tmp_path))
    with pytest.raises(Refused, match="not a run folder"):
        read_run(run_folder("nothing"))
