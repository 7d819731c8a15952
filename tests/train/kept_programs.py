"""Trainings of one process share the compiled step of a recipe.

What a step is follows from model, settings, devices and shapes alone. That none
compiles more than its step is tests/train/test_compiled_once.py's to say, and that
another process' step is the same tests/faults'.
"""

from typing import Any

import jax
import pytest

from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train import stage as stage
from svtcli.train.mesh import Layout
from svtcli.train.state import State
from svtcli.train.step import Update, jit_update, recipe_update

FREE = {
    *("seed", "save_every", "keep", "keep_every", "log_every", "log"),
    *("validate_every", "validate_split", "validate_clips"),
}
"""Settings of `train` that a step does not depend on."""

_updates: dict[Any, Update] = {}
_compiled: dict[Any, Update] = {}


def keep_programs(patch: pytest.MonkeyPatch) -> None:
    """While `patch` holds, `stages.train` compiles no recipe's step again."""
    patch.setattr(stage, "recipe_update", _update)
    patch.setattr(stage, "jit_update", _jit_update)


def _update(graphdef: Any, config: Model, train: Train, layout: Layout) -> Update:
    free = FREE | {"steps"} if train.schedule == "constant" else FREE
    settings = tuple((k, v) for k, v in vars(train).items() if k not in free)
    key = (config, settings, layout)
    if key not in _updates:
        _updates[key] = recipe_update(graphdef, config, train, layout)
    return _updates[key]


def _jit_update(update: Update, state: State, batch: Any) -> Update:
    leaves, tree = jax.tree.flatten((state, batch))
    key = (update, tree, *((leaf.shape, leaf.dtype) for leaf in leaves))
    if key not in _compiled:
        _compiled[key] = jit_update(update, state, batch)
    return _compiled[key]
