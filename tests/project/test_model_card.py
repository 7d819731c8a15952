"""A folder for a model hub, and the run that is made of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from svtcli.evaluate.results import write_result
from svtcli.failure import BadData, Refused
from svtcli.project.export import Contents
from svtcli.project.imports import import_weights
from svtcli.project.model_card import export_folder
from svtcli.recipe.load import load_recipe
from svtcli.run.directory import RunFolder, find_checkpoint
from svtcli.run.progress import Silent
from svtcli.run.samples import write_samples
from svtcli.train.commit_record import open_checkpoint
from tests.cli.terminal import svt_here
from tests.project.test_export import arrays
from tests.project.test_showing import SCORE
from tests.render.made_up import made_up_samples

HUB, OTHER = Path("small model"), RunFolder(Path("runs/other"))
FILES = ["README.md", "model.safetensors", "recipe.yaml"]


def export(force: bool = False) -> None:
    checkpoint = open_checkpoint(*find_checkpoint("mine@2"))
    export_folder(checkpoint, HUB, Contents(), Silent(), force)


def names() -> list[str]:
    return sorted(path.name for path in HUB.iterdir())


def test_the_folder_has_weights_recipe_and_card_and_becomes_the_run_again(
    place, capfd
) -> None:
    write_result(place / "runs/mine/eval/test.json", replace(SCORE, step=2))
    would = svt_here(capfd, "runs", "export", "mine@2", str(HUB), "-n")
    assert would.out == f"would write mine@2 to {HUB}\n"
    assert not HUB.exists()
    said = svt_here(capfd, "runs", "export", "mine@2", str(HUB))
    assert (said.code, said.out) == (0, f"{HUB}\n")
    assert "states no license" in said.err
    assert "svt sample mine@2 --render" in said.err
    assert names() == FILES
    _, front, text = (HUB / "README.md").read_text().split("---\n", 2)
    (model,) = yaml.safe_load(front)["model-index"]
    (result,) = model["results"]
    assert result["metrics"][0]["value"] == 3.25
    assert "| test | bits/dim | 3.25 |" in text
    for content in (text, (HUB / "recipe.yaml").read_text()):
        assert str(place) not in content
    assert load_recipe(str(HUB / "recipe.yaml")).recipe.data.source is None
    (command,) = [line for line in text.splitlines() if "runs import" in line]
    assert command == "svt runs import 'small model' mine"
    data = json.loads(
        svt_here(capfd, "runs", "import", str(HUB), "other", "--json").out
    )
    assert (data["run"], data["step"]) == ("runs/other", 2)
    before, after = arrays("mine@2"), arrays("other")
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def test_what_is_there_is_replaced_by_force_alone_and_other_files_stay(place) -> None:
    HUB.mkdir()
    (HUB / ".gitattributes").write_text("own")
    export()
    (HUB / "README.md").write_text("own")
    with pytest.raises(Refused, match="already exists"):
        export()
    export(force=True)
    assert (HUB / "README.md").read_text() != "own"
    assert names() == [".gitattributes", *FILES]
    assert not list(place.glob(".*.part"))


def test_the_pictures_of_the_checkpoint_are_in_it(place) -> None:
    made = made_up_samples()
    for step, name in ((2, "samples.gif"), (3, "strip.png")):
        samples = replace(made, facts=replace(made.facts, step=step))
        write_samples(place / f"runs/mine/samples/{step}", samples)
        figures = place / f"runs/mine/figures/{step}"
        figures.mkdir(parents=True)
        (figures / name).write_bytes(b"GIF89a")
    export()
    assert names() == [*FILES, "samples.gif"]
    assert "](samples.gif)" in (HUB / "README.md").read_text()


def test_a_folder_that_was_changed_or_is_another_is_refused(place) -> None:
    export()
    recipe = HUB / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(BadData, match=r"recipe\.yaml: not the recipe in model"):
        import_weights(HUB, OTHER, Silent())
    recipe.unlink()
    content = (HUB / "model.safetensors").read_bytes()
    (HUB / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BadData, match="changed since it was exported"):
        import_weights(HUB, OTHER, Silent())
    (HUB / "model.safetensors").unlink()
    with pytest.raises(Refused, match=r"model\.safetensors: no such file"):
        import_weights(HUB, OTHER, Silent())
    assert not OTHER.path.exists()
