"""Runs made of exported weights (`export.py`), and of the models that ship with svt.

A file is untrusted: every array must be the one that its recipe describes, and clips
are compared with their checksums.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open

from svtcli.clips.archive import unpack
from svtcli.failure import BadData, Refused, in_words
from svtcli.model.svt import structure
from svtcli.project.export import (
    CLIPS,
    FORMAT,
    RECIPE_FILE,
    WEIGHTS_FILE,
    checksum_of,
)
from svtcli.recipe.data import clips_folder
from svtcli.recipe.document import BadRecipe
from svtcli.recipe.load import LoadedRecipe, recipe_from_text
from svtcli.recipe.schema import UNITS
from svtcli.run.directory import RunFolder, read_run, run_folder, write_run
from svtcli.run.durable import removed
from svtcli.run.metrics_log import MetricsLog
from svtcli.run.progress import Progress
from svtcli.train.arrays import differences, named, unnamed
from svtcli.train.checkpoint import Checkpoints
from svtcli.train.state import first_state

METADATA = {"format", "name", "recipe", "step", "clips"}
"""Metadata of files of an older svt, which had no checksum."""
FOREIGN = "it was not written by svt, or was changed since: get or export it again"
LONGEST_RECIPE = 1 << 20
"""Characters; a recipe has a few thousand."""
LEGAL_STEP = re.compile("[1-9][0-9]{0,9}")
MOST_STEPS = 2**31 - 1


@dataclass(frozen=True)
class Weights:
    """Contents of a file beside the arrays of weights."""

    recipe: LoadedRecipe
    step: int
    clips: str
    """Fingerprint of the clips they were trained on."""
    scores: dict[str, float]
    """Likelihood of held-out clips, by its unit in JSON."""
    archive: bytes | None = None
    """Archive of clips, which the recipe's `data.clips` then names."""


def import_weights(
    file: Path, run: RunFolder, progress: Progress, clips: Path | None = None
) -> Weights:
    """Create `run` from an exported file or folder, to sample, score or train further.

    Clips in the file go to `clips`, by default `clips/RUN`. There is no optimizer
    state: further training begins with a new one. Errors: as `weights_to_import`;
    Refused where other clips are in the way.
    """
    weights, arrays = _read(file, run, clips)
    recipe = weights.recipe.recipe
    _unpack_clips(file, weights)
    _, shapes = structure(recipe.model)
    params = {name: jnp.asarray(each, jnp.float32) for name, each in arrays.items()}
    state = first_state(unnamed(params, shapes), recipe.train)
    state["step"] = jnp.asarray(weights.step, jnp.int32)
    unfinished = RunFolder(run.path.with_name(f".{run.path.name}.{os.getpid()}"))
    with removed(unfinished.path):
        known = weights.clips
        write_run(unfinished, weights.recipe, devices=(), data_fingerprint=known)
        keep, note = recipe.train.keep, progress.note
        with Checkpoints(unfinished.checkpoints, keep, known, note) as checkpoints:
            checkpoints.save(jax.device_put(state))
        if weights.scores:
            scores = {f"validation_{unit}": x for unit, x in weights.scores.items()}
            with MetricsLog(unfinished.metrics) as log:
                log.append(weights.step, **scores)
                log.sync()
        unfinished.path.rename(run.path)
    return weights


def weights_to_import(file: Path, run: RunFolder) -> Weights:
    """Check that `file` can become `run`; writes nothing.

    Errors: Refused if there is such a run, or no such file; BadData if the file is not
    what its recipe describes.
    """
    return _read(file, run)[0]


def import_shipped(name: str, file: Path, progress: Progress) -> None:
    """Make the run `name` of a shipped model, with its clips, unless they are there.

    Any run of that name counts. Errors: those of `import_weights`.
    """
    run = run_folder(name)
    if not run.path.exists():
        try:
            import_weights(file, run, progress)
        except (Refused, OSError):
            if not run.recipe_file.is_file():  # another process was faster
                raise
        else:
            progress.note(f"{name}: a model that ships with svt, now in {run.path}")
        return
    with _opened(file) as opened:
        weights = _weights(opened, file, run)
    ours = weights.clips, weights.recipe.recipe.data.clips
    if (read_run(run).data_fingerprint, run.recipe().data.clips) == ours:
        _unpack_clips(file, weights)  # they may be in another working directory


def _unpack_clips(file: Path, weights: Weights) -> None:
    """Unpack the clips where the recipe expects them, unless clips are there."""
    recipe, archive = weights.recipe, weights.archive
    folder = clips_folder(recipe.recipe.data, recipe.name)
    if archive is None:
        return
    try:
        unpack(archive, folder)
    except BadData as error:
        raise BadData(f"{file}: {error.sentence}", FOREIGN) from error


def _read(
    file: Path, run: RunFolder, clips: Path | None = None
) -> tuple[Weights, dict[str, np.ndarray]]:
    """Read and check the whole file. Errors: those of `weights_to_import`."""
    if run.path.exists():
        raise Refused(f"{run.path}: already exists", "name another run")
    beside = file / RECIPE_FILE if file.is_dir() else None
    file = file / WEIGHTS_FILE if beside else file
    if not file.is_file():
        raise Refused(f"{file}: no such file")
    with _opened(file) as opened:
        if beside and beside.is_file():
            _compare_recipes(opened, file, beside)
        weights = _weights(opened, file, run, clips)
        _, shapes = structure(weights.recipe.recipe.model)
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        there = {name: f"{x.get_dtype()}{x.get_shape()}" for name, x in slices.items()}
        there.pop(CLIPS, None)
        wanted = {k: f"F32{list(leaf.shape)}" for k, leaf in named(shapes).items()}
        halves = {name: f"F16{each[3:]}" for name, each in wanted.items()}
        kind = halves if set(there.values()) & set(halves.values()) else wanted
        if differ := differences(there, kind, "file"):
            raise BadData(f"{file}: weights of another model: {differ}", FOREIGN)
        metadata = opened.metadata()
        arrays = {name: opened.get_tensor(name) for name in slices}
    # Files of an older svt have no checksum, and nothing else that is unknown.
    checksum = metadata.pop("crc32c", None)
    older = checksum is None and metadata.keys() <= METADATA and CLIPS not in arrays
    if not older and checksum != checksum_of(metadata, arrays):
        raise BadData(f"{file}: changed since it was exported", FOREIGN)
    arrays.pop(CLIPS, None)
    return weights, arrays


def _compare_recipes(opened: Any, file: Path, beside: Path) -> None:
    """Refuse a recipe beside the weights that is not theirs: it would be ignored."""
    text = (opened.metadata() or {}).get("recipe", "")
    if beside.read_bytes() != text.encode():
        what = f"{beside}: not the recipe in {file.name}"
        raise BadData(what, "get the folder again, or remove this file")


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open the file; safetensors checks its bounds. Errors: BadData, in one line."""
    try:
        with safe_open(file, framework="numpy") as opened:
            yield opened
    except SafetensorError as error:
        what = f"not a whole safetensors file ({in_words(error)})"
        raise BadData(f"{file}: {what}") from error


def _weights(
    opened: Any, file: Path, run: RunFolder, clips: Path | None = None
) -> Weights:
    """Read metadata and clips, for `run`, and check the metadata."""
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
    archive = None
    if CLIPS in opened.keys():  # noqa: SIM118 (not a mapping)
        archive = opened.get_tensor(CLIPS).tobytes()
        place = clips or clips_folder(replace(recipe.data, clips=None), run.name)
        recipe = replace(recipe, data=replace(recipe.data, clips=str(place)))
    name = _printable(given.get("name", "")) or file.stem
    loaded = LoadedRecipe(name, recipe, (), str(file))
    known, scores = _printable(given.get("clips", "")), _scores(given, file)
    return Weights(loaded, int(step), known, scores, archive)


def _scores(metadata: dict[str, str], file: Path) -> dict[str, float]:
    """Read the scores. Errors: BadData."""
    try:
        scores = json.loads(metadata.get("scores", "{}"))
        finite = {unit: float(scores[unit]) for unit in scores if unit in UNITS}
    except (ValueError, TypeError, RecursionError) as error:
        raise BadData(f"{file}: its scores are no numbers", FOREIGN) from error
    return {unit: score for unit, score in finite.items() if isfinite(score)}


def _printable(text: str) -> str:
    """Remove control characters, which a terminal might obey."""
    return "".join(letter for letter in text[:200] if letter.isprintable())
