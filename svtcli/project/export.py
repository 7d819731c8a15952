"""Weights as one safetensors file, to be passed on: out of a run, and into a new one.

The file holds the parameters that sample and score, by the names that checkpoints have,
and as metadata the recipe, the step and what clips they were trained on. A file from
elsewhere is only believed when every array is the one that its recipe says.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from svtcli.failure import BadData, Refused, StorageFailed
from svtcli.model.svt import structure
from svtcli.recipe.load import LoadedRecipe, dump_recipe, recipe_from_text
from svtcli.recipe.problem import BadRecipe
from svtcli.run.directory import RunFolder
from svtcli.run.durable import replacing
from svtcli.run.manifest import read_run, write_run
from svtcli.run.progress import Progress
from svtcli.train.arrays import differences, named, unnamed
from svtcli.train.checkpoint import Checkpoints
from svtcli.train.load_network import Checkpoint, load_network
from svtcli.train.state import first_state

FORMAT = "svt 1"
LONGEST_RECIPE = 1 << 20
"""Characters; a recipe has a few thousand."""
LEGAL_STEP = re.compile("[1-9][0-9]{0,9}")
MOST_STEPS = 2**31 - 1


@dataclass(frozen=True)
class Weights:
    """What a file says beside its arrays."""

    recipe: LoadedRecipe
    step: int
    clips: str
    """Fingerprint of the clips that they were trained on."""


def refuse_existing(file: Path, force: bool) -> None:
    """Errors: Refused for a file that is there already, unless by `force`."""
    if file.exists() and not force:
        raise Refused(f"{file}: is there already", "--force overwrites it")


def export_weights(checkpoint: Checkpoint, file: Path, force: bool = False) -> None:
    """Write the checkpoint's weights to `file`, whole or not at all.

    Errors: Refused when it is there already; StorageFailed for a broken checkpoint.
    """
    refuse_existing(file, force)
    params = named(load_network(checkpoint).params)
    facts = read_run(checkpoint.run)
    metadata = {
        "format": FORMAT,
        "name": facts.recipe,
        "recipe": dump_recipe(checkpoint.recipe),
        "step": str(checkpoint.step),
        "clips": facts.data_fingerprint,
    }
    arrays = {name: np.asarray(leaf) for name, leaf in params.items()}
    with replacing(file) as aside:
        try:
            save_file(arrays, aside, metadata)
        except SafetensorError as error:
            raise StorageFailed(f"{file}: {error}") from error


def import_weights(file: Path, run: RunFolder, progress: Progress) -> Weights:
    """Make `run` out of an exported file: it can be sampled, scored and trained on.

    The optimizer's state is no part of the file, so training begins with a new one.
    Errors: Refused when there is such a run, or no such file; BadData for a file that
    is not what its recipe says.
    """
    weights = weights_to_import(file, run)
    _, shapes = structure(weights.recipe.recipe.model)
    with _opened(file) as opened:
        arrays = {name: jnp.asarray(opened.get_tensor(name)) for name in named(shapes)}
    train = weights.recipe.recipe.train
    state = first_state(unnamed(arrays, shapes), train)
    state["step"] = jnp.asarray(weights.step, jnp.int32)
    unfinished = RunFolder(run.path.with_name(f".{run.path.name}.{os.getpid()}"))
    try:
        clips = weights.clips
        write_run(unfinished, weights.recipe, devices=(), data_fingerprint=clips)
        keep, note = train.keep, progress.note
        with Checkpoints(unfinished.checkpoints, keep, clips, note) as checkpoints:
            checkpoints.save(jax.device_put(state))
        unfinished.path.rename(run.path)
    finally:
        shutil.rmtree(unfinished.path, ignore_errors=True)
    return weights


def weights_to_import(file: Path, run: RunFolder) -> Weights:
    """What `import_weights` would make `run` of; checks all, writes nothing.

    Errors: its own.
    """
    if run.path.exists():
        raise Refused(f"{run.path}: is there already", "name another run")
    if not file.is_file():
        raise Refused(f"{file}: no such file")
    with _opened(file) as opened:
        weights = _weights(opened, file)
        _, shapes = structure(weights.recipe.recipe.model)
        _refuse_others(file, opened, named(shapes))
    return weights


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """The file, read with bounds checked; whatever is wrong with it as one line."""
    try:
        with safe_open(file, framework="numpy") as opened:
            yield opened
    except SafetensorError as error:
        what = str(error).splitlines()[0]
        raise BadData(f"{file}: not a whole safetensors file ({what})") from error


def _weights(opened: Any, file: Path) -> Weights:
    """The metadata, each of it checked."""
    said = opened.metadata() or {}
    if said.get("format") != FORMAT:
        raise BadData(f"{file}: was not exported by this version of svt")
    step, text = said.get("step", ""), said.get("recipe", "")
    if not (LEGAL_STEP.fullmatch(step) and int(step) <= MOST_STEPS):
        raise BadData(f"{file}: its step is no number of steps")
    if len(text) > LONGEST_RECIPE:
        raise BadData(f"{file}: its recipe is too long")
    try:
        recipe = recipe_from_text(text, str(file), alone=True)
    except BadRecipe as error:
        what = _shown(error.problems[0].what)
        raise BadData(f"{file}: its recipe is wrong: {what}") from error
    name = _shown(said.get("name", "")) or file.stem
    loaded = LoadedRecipe(name, recipe, (), str(file))
    return Weights(loaded, int(step), _shown(said.get("clips", "")))


def _shown(text: str) -> str:
    """Without what a terminal might obey."""
    return "".join(letter for letter in text[:200] if letter.isprintable())


def _refuse_others(file: Path, opened: Any, wanted: dict[str, Any]) -> None:
    """Errors: BadData unless the arrays are exactly those that the recipe says."""
    there = {name: _described(opened.get_slice(name)) for name in opened.keys()}  # noqa: SIM118
    right = {name: f"F32{list(leaf.shape)}" for name, leaf in wanted.items()}
    if differ := differences(there, right, "file"):
        raise BadData(
            f"{file}: weights of another model: {differ}",
            "it was not written by svt, or was changed since",
        )


def _described(tensor: Any) -> str:
    return f"{tensor.get_dtype()}{list(tensor.get_shape())}"
