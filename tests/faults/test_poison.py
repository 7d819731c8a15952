"""R9: a non-finite loss at some steps leaves traces only in the log."""

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from svtcli.model.svt import abstract_params
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train import stage as stage
from svtcli.train import step as step_module
from svtcli.train.checkpoint import restore_params
from tests.train import tiny_run, toy

BAD = 8 - 1
"""Batches whose first row is this slice have a non-finite loss."""
STEPS = 24


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    made = step_module.objective

    def poisoned(*setting: Any) -> Any:
        loss = made(*setting)

        def of(params: Any, inputs: dict[str, Any]) -> Any:
            value, score = loss(params, inputs)
            bad = inputs["slice_index"][0] == BAD
            return value * jnp.where(bad, jnp.nan, 1), score

        return of

    monkeypatch.setattr(step_module, "objective", poisoned)


def test_poisoned_steps_leave_state_and_later_steps_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch)
    clips = tiny_run.write_clips(tmp_path / "clips")
    recipe = tiny_run.write_recipe(tmp_path, clips)
    loaded = tiny_run.loaded(
        recipe, f"train.steps={STEPS}", "train.save_every=1", f"train.keep={STEPS}"
    )
    run = RunFolder(tmp_path / "runs" / "poisoned")
    stage.train(loaded, run, Silent())

    bad = [
        int(row["step"]) for row in read_metrics(run.metrics) if math.isnan(row["loss"])
    ]
    assert len(bad) > 1
    assert 1 < bad[0] < max(bad) < STEPS  # it went on after each
    shapes = abstract_params(loaded.recipe.model)

    def params(step: int) -> Any:
        return restore_params(run.checkpoints, step, shapes)

    for step in bad:
        assert toy.same(params(step - 1), params(step))
    assert not toy.same(params(bad[0]), params(STEPS))
    for leaf in jax.tree.leaves(params(STEPS)):
        assert jnp.isfinite(leaf).all()
