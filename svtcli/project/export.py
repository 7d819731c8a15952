"""Weights as one safetensors file: out of a run, and into a new one.

The file holds the parameters used for sampling and scoring, by the names of the
checkpoint, and as metadata the recipe, the step, the clips they were trained on, and a
checksum of all of these.
An imported file is untrusted: every array must be the one that its recipe describes.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from svtcli.failure import BadData, Refused, StorageFailed, in_words
from svtcli.model.svt import structure
from svtcli.recipe.document import BadRecipe
from svtcli.recipe.load import LoadedRecipe, dump_recipe, recipe_from_text
from svtcli.run.directory import RunFolder, read_run, write_run
from svtcli.run.durable import removed, replacing
from svtcli.run.progress import Progress
from svtcli.train.arrays import differences, named, unnamed
from svtcli.train.checkpoint import Checkpoints, load_network
from svtcli.train.commit_record import Checkpoint
from svtcli.train.state import first_state

FORMAT = "svt 1"
METADATA = {"format", "name", "recipe", "step", "clips"}
FOREIGN = "it was not written by svt, or was changed since: get or export it again"
LONGEST_RECIPE = 1 << 20
"""Characters; a recipe has a few thousand."""
LEGAL_STEP = re.compile("[1-9][0-9]{0,9}")
MOST_STEPS = 2**31 - 1


@dataclass(frozen=True)
class Weights:
    """Metadata of a file."""

    recipe: LoadedRecipe
    step: int
    clips: str
    """Fingerprint of the clips they were trained on."""


def export_weights(
    checkpoint: Checkpoint, file: Path, force: bool = False, dry_run: bool = False
) -> None:
    """Write the checkpoint's weights to `file`, whole or not at all.

    Errors: Refused if the file exists, without `force`; StorageFailed for a damaged
    checkpoint.
    """
    if file.exists() and not force:
        raise Refused(f"{file}: already exists", "--force overwrites it")
    if dry_run:
        return
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
    metadata["crc32c"] = _checksum(metadata, arrays)
    with replacing(file) as aside:
        try:
            save_file(arrays, aside, metadata)
        except SafetensorError as error:
            raise StorageFailed(f"{file}: {in_words(error)}") from error


def import_weights(file: Path, run: RunFolder, progress: Progress) -> Weights:
    """Create `run` from an exported file, to be sampled, scored and trained further.

    The file has no optimizer state: further training begins with a new one.
    Errors: as `weights_to_import`.
    """
    weights = weights_to_import(file, run)
    _, shapes = structure(weights.recipe.recipe.model)
    with _opened(file) as opened:
        arrays = {name: jnp.asarray(opened.get_tensor(name)) for name in named(shapes)}
    train = weights.recipe.recipe.train
    state = first_state(unnamed(arrays, shapes), train)
    state["step"] = jnp.asarray(weights.step, jnp.int32)
    unfinished = RunFolder(run.path.with_name(f".{run.path.name}.{os.getpid()}"))
    with removed(unfinished.path):
        clips = weights.clips
        write_run(unfinished, weights.recipe, devices=(), data_fingerprint=clips)
        keep, note = train.keep, progress.note
        with Checkpoints(unfinished.checkpoints, keep, clips, note) as checkpoints:
            checkpoints.save(jax.device_put(state))
        unfinished.path.rename(run.path)
    return weights


def weights_to_import(file: Path, run: RunFolder) -> Weights:
    """Check that `file` can become `run`; writes nothing.

    Errors: Refused if there is such a run, or no such file; BadData if the file is not
    what its recipe describes.
    """
    if run.path.exists():
        raise Refused(f"{run.path}: already exists", "name another run")
    if not file.is_file():
        raise Refused(f"{file}: no such file")
    with _opened(file) as opened:
        weights = _weights(opened, file)
        _, shapes = structure(weights.recipe.recipe.model)
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
    there = {name: f"{x.get_dtype()}{x.get_shape()}" for name, x in slices.items()}
    wanted = {name: f"F32{list(leaf.shape)}" for name, leaf in named(shapes).items()}
    if differ := differences(there, wanted, "file"):
        raise BadData(f"{file}: weights of another model: {differ}", FOREIGN)
    with _opened(file) as opened:
        metadata = opened.metadata()
        arrays = {name: opened.get_tensor(name) for name in wanted}
    # Files of an older svt have no checksum, and nothing else that is unknown.
    checksum = metadata.pop("crc32c", None)
    older = checksum is None and metadata.keys() <= METADATA
    if not older and checksum != _checksum(metadata, arrays):
        raise BadData(f"{file}: changed since it was exported", FOREIGN)
    return weights


def _checksum(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """CRC-32C of metadata and arrays, eight hexadecimal digits."""
    text = json.dumps(metadata, sort_keys=True)
    checksum = google_crc32c.value(text.encode())
    for name in sorted(arrays):
        checksum = google_crc32c.extend(checksum, arrays[name].tobytes())
    return f"{checksum:08x}"


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open the file; safetensors checks its bounds. Errors: BadData, in one line."""
    try:
        with safe_open(file, framework="numpy") as opened:
            yield opened
    except SafetensorError as error:
        what = f"not a whole safetensors file ({in_words(error)})"
        raise BadData(f"{file}: {what}") from error


def _weights(opened: Any, file: Path) -> Weights:
    """Read and check the metadata."""
    given = opened.metadata() or {}
    if given.get("format") != FORMAT:
        raise BadData(f"{file}: was not exported by this version of svt")
    step, text = given.get("step", ""), given.get("recipe", "")
    if not (LEGAL_STEP.fullmatch(step) and int(step) <= MOST_STEPS):
        raise BadData(f"{file}: its step is no number of steps")
    if len(text) > LONGEST_RECIPE:
        raise BadData(f"{file}: its recipe is too long")
    try:
        recipe = recipe_from_text(text, str(file))
    except BadRecipe as error:
        what = _printable(error.problems[0].what)
        raise BadData(f"{file}: its recipe is wrong: {what}") from error
    name = _printable(given.get("name", "")) or file.stem
    loaded = LoadedRecipe(name, recipe, (), str(file))
    return Weights(loaded, int(step), _printable(given.get("clips", "")))


def _printable(text: str) -> str:
    """Remove control characters, which a terminal might obey."""
    return "".join(letter for letter in text[:200] if letter.isprintable())
