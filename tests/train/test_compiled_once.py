"""A run compiles its step once, and nothing else again and again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import pytest

from svtcli.recipe.schema import Train
from svtcli.run.directory import RunFolder
from svtcli.run.progress import Silent
from svtcli.train import stage as stage
from svtcli.train.state import State
from svtcli.train.step import Update, jit_update, make_update
from tests.train import toy
from tests.train.tiny_run import loaded, write_clips, write_recipe

COMPILED = "/jax/core/compile/backend_compile_duration"
SETTINGS = (
    "train.ema=0.9", "train.validate_every=3", "train.save_every=2", "train.keep=1",
    "train.log_every=1", "train.steps=14",
)  # fmt: skip


class Compilations(Silent):
    """Hears of everything that XLA compiles, and how much it was at each step."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.at: dict[int, int] = {}

    def __enter__(self) -> "Compilations":
        jax.monitoring.register_event_duration_secs_listener(self._heard)
        return self

    def __exit__(self, *error: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._heard)

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        self.at[done] = len(self.names)

    def _heard(self, event: str, seconds: float, **about: Any) -> None:
        if event == COMPILED:
            self.names.append(str(about.get("fun_name")))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    return write_recipe(folder, write_clips(folder / "clips", held_out=("val",)))


def test_a_run_and_its_resumption_each_compile_the_step_once(
    recipe, tmp_path, monkeypatch
) -> None:
    run, given_up = RunFolder(tmp_path / "run"), []

    def watched(update: Update, state: State, batch: Any) -> Update:
        compiled = jit_update(update, state, batch)
        given_up.append(whole_state_is_given_up(compiled, state))
        return compiled

    monkeypatch.setattr(stage, "jit_update", watched)
    for start, until in ((0, 8), (8, 14)):
        with Compilations() as heard:
            stage.train(loaded(recipe, *SETTINGS), run, heard, stop_at=until)
        assert len([name for name in heard.names if "update" in name]) == 1
        # By now a batch was read, a state saved and the held-out clips were scored.
        assert heard.at[start + 4] == heard.at[until], heard.names
    assert given_up == [True, True]


def whole_state_is_given_up(compiled: Any, state: State) -> bool:
    """Whether the new state stands where the old one stood: none is kept twice."""
    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    return compiled.memory_analysis().alias_size_in_bytes >= kept


@pytest.mark.parametrize(
    "settings",
    [
        replace(toy.TRAIN, optimizer="adamw", clip_norm=1.0),
        replace(toy.TRAIN, accumulate=2, ema=0.9),
    ],
    ids=["adamw", "parts and average"],
)
def test_no_optimizer_keeps_a_state_twice(settings: Train) -> None:
    state = toy.state(settings)
    compiled = jit_update(make_update(toy.loss, settings), state, toy.batch(0))
    assert whole_state_is_given_up(compiled, state)
