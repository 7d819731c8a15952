"""The section `sweep` of a recipe: variants, their places in messages, their limits."""

from pathlib import Path

import pytest

from svtcli.recipe.document import BadRecipe
from svtcli.recipe.load import flow, load_recipe, load_variants, read_variants
from tests.cli.terminal import svt_here
from tests.train import tiny_run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tiny_run.write_recipe(tmp_path, tmp_path / "clips")


def with_sweep(recipe: Path, text: str) -> str:
    path = recipe.with_name("varied.yaml")
    path.write_text(f"base: tiny\nsweep:\n{text}")
    return str(path)


def test_a_variant_sets_its_keys_below_those_of_the_command_line(recipe: Path) -> None:
    file = with_sweep(
        recipe, "  base:\n  wide: {model.d: 16, model.blocks: [[1, 2, 2], [2, 1, 2]]}\n"
    )
    assert list(read_variants(file)) == ["base", "wide"]
    found = load_variants(file, ["train.batch=8"])
    assert found["base"].recipe.model.d == load_recipe(file).recipe.model.d == 8
    wide = found["wide"]
    assert (wide.recipe.model.d, wide.recipe.train.batch) == (16, 8)
    assert wide.recipe.model.blocks == ((1, 2, 2), (2, 1, 2))
    assert load_recipe(file, ["model.d=24"], "wide").recipe.model.d == 24
    # The overrides alone lead to the same recipe.
    assert wide.overrides[:2] == ("model.d=16", "model.blocks=[[1, 2, 2], [2, 1, 2]]")
    assert load_recipe(file, wide.overrides).recipe == wide.recipe


def test_variants_belong_to_their_own_file(recipe: Path) -> None:
    parent = with_sweep(recipe, "  wide: {model.d: 16}\n")
    grown = Path(parent).read_text() + recipe.read_text()
    Path(parent).write_text(grown.removeprefix("base: tiny\n"))
    child = recipe.with_name("child.yaml")
    child.write_text("base: varied\n")
    assert read_variants(parent)
    assert read_variants(str(child)) == {}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("  wide: {model.dd: 16}\n", 3, "model.dd: unknown key; did you mean model.d?"),
        ("  wide: {model.d: big}\n", 3, "model.d: should be a whole number"),
        ("  a: {}\n  w w: {}\n", 4, "sweep.w w: use letters, digits"),
        ("  wide: 3\n", 3, "sweep.wide: should be keys"),
        ("  wide: {model: {d: 16}}\n", 3, "model should be a section.key"),
        ("  - model.d\n", 3, "sweep: names variants"),
    ],
)
def test_a_mistake_in_a_variant_has_its_place(recipe: Path, text, line, what, capfd):
    file = with_sweep(recipe, text)
    with pytest.raises(BadRecipe) as bad:
        load_variants(file)
    (problem,) = bad.value.problems
    assert problem.place.line == line
    assert what in problem.what
    said = svt_here(capfd, "recipes", "check", file)
    assert said.code == 3
    assert f"{file}:{line}:" in said.err


@pytest.mark.parametrize("value", [3, 1e-3, "adam", "1e-3", "a, b", [[1, 2]], None])
def test_a_value_written_as_an_override_reads_back(value) -> None:
    from svtcli.recipe.document import Text, read_document

    assert read_document(Text("here", flow(value))).value == value
