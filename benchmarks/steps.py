"""Shared by the training benchmarks: a compiled step, its state, and its input."""

from typing import Any

import jax
import numpy as np

from svtcli.model.svt import create, structure
from svtcli.model.windows import slice_choices
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.train.state import abstract_state, first_state
from svtcli.train.step import jit_update, recipe_update


class Training:
    """A compiled step and its state."""

    def __init__(self, model: Model, settings: Train) -> None:
        self.model, self.settings = model, settings
        self.inputs = random_inputs(model, settings.batch)
        graphdef, shapes = structure(model)
        self.update = recipe_update(graphdef, model, settings)
        self.abstract = abstract_state(shapes, settings)
        self.step = jit_update(self.update, self.abstract, self.inputs)
        _, params = create(model, jax.random.key(0))
        self.state = first_state(params, settings)

    def take(self, inputs: dict[str, Any] | None = None) -> None:
        """One step, finished."""
        self.state, metrics = self.step(self.state, inputs or self.inputs)
        jax.block_until_ready((self.state, metrics))


def random_inputs(model: Model, rows: int) -> dict[str, Any]:
    """A batch of noise."""
    shape = (rows, *model.video, model.channels)
    video = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    choices = slice_choices(model, 1, rows)
    index = np.array([choice[row % len(choice)] for row, choice in enumerate(choices)])
    actions = np.zeros((rows, model.video[0], model.actions), np.float32)
    return {
        "video": video,
        "slice_index": index.astype(np.int32),
        "actions": actions if model.actions else None,
    }
