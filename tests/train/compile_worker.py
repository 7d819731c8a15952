"""Compiles a training step for simulated devices; run as a process of its own.

Arguments: `data`, `shard`, `batch`, and the model's settings as JSON; or a recipe and
overrides of it. Prints a line of JSON; what the compiler has to say is on stderr.
"""

import collections
import json
import re
import sys

import jax
import numpy as np

from svtcli.model.svt import structure
from svtcli.recipe.data import FolderData
from svtcli.recipe.load import load_recipe
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Mesh, Recipe, Train
from svtcli.train.mesh import layout_of
from svtcli.train.state import abstract_state
from svtcli.train.step import jit_update, recipe_update

MOVES = re.compile(r" (all-to-all|collective-permute|all-gather|all-reduce)\(")
"""What is said between devices: an operation of the compiled step."""


def compiled(recipe: Recipe) -> dict[str, object]:
    """What each device is given, without a single array."""
    model, train = recipe.model, recipe.train
    layout = layout_of(recipe.mesh, train)
    graphdef, shapes = structure(model)
    state = layout.placed(abstract_state(shapes, train))
    video = np.zeros((1, *model.video, model.channels), np.uint8)
    one = {"video": video, "slice_index": np.zeros(1, np.int32), "actions": None}
    batch = layout.abstract_batch(one, train.batch)

    step = jit_update(recipe_update(graphdef, model, train, layout), state, batch)
    (places, inputs), _ = step.input_shardings
    kept = jax.tree.map(
        lambda leaf, place: (leaf.size, np.prod(place.shard_shape(leaf.shape))),
        state["params"],
        places["params"],
    )
    sizes = np.array(jax.tree.leaves(kept, is_leaf=lambda x: isinstance(x, tuple)))
    memory = step.memory_analysis()
    return {
        "memory": memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes,
        "device": layout.description,
        "rows": inputs["video"].shard_shape(batch["video"].shape)[0],
        "numbers": int(sizes[:, 0].sum()),
        "kept": int(sizes[:, 1].sum()),
        "in_parts": int((sizes[:, 0] != sizes[:, 1]).sum()),
        "moved": collections.Counter(MOVES.findall(step.as_text())),
    }


def fixed(value: object) -> object:
    """Tuples for JSON's lists, as a recipe has them."""
    return tuple(map(fixed, value)) if isinstance(value, list) else value


def made_up(data: str, shard: str, batch: str, settings: str) -> Recipe:
    """A recipe around a model's settings."""
    model = Model(
        **{name: fixed(value) for name, value in json.loads(settings).items()}
    )
    return Recipe(
        data=FolderData(kind="folder", source="nowhere", size=model.video[1]),
        model=model,
        train=Train(batch=int(batch)),
        mesh=Mesh(int(data), int(shard)),
    )


if __name__ == "__main__":
    first, *others = sys.argv[1:]
    recipe = (
        made_up(first, *others)
        if first.isdigit()
        else load_recipe(first, others).recipe
    )
    print(json.dumps(compiled(recipe)))
