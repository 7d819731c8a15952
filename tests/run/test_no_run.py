"""Arguments that name no run, and hints at the command that makes one of them."""

import os
from pathlib import Path

import pytest

from svtcli.failure import Refused
from svtcli.run.directory import find_checkpoint


@pytest.mark.parametrize(
    ("file", "named", "run"),
    [
        ("small.safetensors", "small.safetensors", "small"),
        ("hub/model.safetensors", "hub", "hub"),
        ("-x/model.safetensors", "./-x", "imported"),
    ],
)
def test_exported_weights_are_no_run_and_the_hint_imports_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, named: str, run: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).touch()
    Path(file).with_name("recipe.yaml").touch()
    with pytest.raises(Refused, match="exported weights, not a run") as refused:
        find_checkpoint(os.path.normpath(named))
    assert refused.value.hint == f"make a run: svt runs import {named} {run}"


def test_a_recipe_is_no_run_and_the_hint_makes_one_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="no run called 'bair_large'") as refused:
        find_checkpoint("bair_large@7")
    assert str(refused.value.hint).endswith(": svt run bair_large")
