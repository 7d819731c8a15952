"""Weights of a run as one safetensors file; `imports.py` makes a run of it.

`model_card.py` puts that file into a folder for a model hub.

The file holds the parameters used for sampling and scoring, by the names of the
checkpoint, and as metadata the recipe, the step, the clips they were trained on, and a
checksum of everything. It may hold a few clips too, as the bytes of an archive, with
the model's score on them: then a run that is made of it needs nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import google_crc32c
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from svtcli.clips.archive import copy_clips, pack
from svtcli.failure import CheckFailed, Refused, StorageFailed, in_words
from svtcli.model.heads import unit_of
from svtcli.model.likelihood import Scorer
from svtcli.model.parameters import for_products_in
from svtcli.model.svt import structure
from svtcli.recipe.labels import label_pattern
from svtcli.recipe.load import dump_recipe, recipe_from_text
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe
from svtcli.run.directory import WEIGHTS_FILE as WEIGHTS_FILE
from svtcli.run.directory import read_run
from svtcli.run.durable import replacing
from svtcli.run.progress import counted
from svtcli.train.arrays import Named, named, unnamed
from svtcli.train.backend import start_jax
from svtcli.train.checkpoint import load_network
from svtcli.train.commit_record import Checkpoint
from svtcli.train.held_out import HeldOutPlan, open_held_out, plan_held_out
from svtcli.train.plan import SECTIONS
from svtcli.train.validate import score_clips

FORMAT = "svt 1"
RECIPE_FILE = "recipe.yaml"
"""Recipe in a folder for a model hub, beside `WEIGHTS_FILE`."""
CLIPS = "clips.zip"
"""Name of the array with the bytes of an archive of clips."""
SCORED = 12
"""Clips that half precision is tried on, where no clips are exported."""
TOLERANCE = 1e-3
"""Largest difference that half precision may make to the score, as a share of it."""


@dataclass(frozen=True)
class Contents:
    """Choices of an export."""

    half: bool = False
    """Weights in float16 instead of float32."""
    clips: int | None = None
    """Number of clips of each split that the recipe samples or scores."""
    overrides: tuple[str, ...] = ()
    """Changes to the recipe's sections `sample`, `eval` and `render`."""
    public: bool = False
    """Without places of this machine: the recipe is shown to others."""


def export_weights(
    checkpoint: Checkpoint,
    file: Path,
    contents: Contents = Contents(),
    force: bool = False,
    dry_run: bool = False,
) -> None:
    """Write the checkpoint's weights to `file`, whole or not at all.

    Errors: Refused if the file exists, without `force`, and for clips that are not
    there; CheckFailed if half precision changes the score; StorageFailed for a damaged
    checkpoint.
    """
    if file.exists() and not force:
        raise Refused(f"{file}: already exists", "--force overwrites it")
    recipe = _exported_recipe(checkpoint.recipe, contents.overrides)
    checkpoint = replace(checkpoint, recipe=recipe)
    scored = contents.half or contents.clips is not None
    if scored:
        open_held_out(checkpoint, recipe.eval, None)  # refuse before the work begins
    if dry_run:
        return
    params = named(load_network(checkpoint).params)
    facts = read_run(checkpoint.run)
    metadata = {
        "format": FORMAT,
        "name": facts.recipe,
        "recipe": dump_recipe(_without_paths(recipe, contents)),
        "step": str(checkpoint.step),
        "clips": facts.data_fingerprint,
    }
    arrays = {name: np.asarray(leaf) for name, leaf in params.items()}
    if contents.half:
        with np.errstate(over="ignore"):  # its score is not finite
            arrays = {name: each.astype(np.float16) for name, each in arrays.items()}
    if scored:
        with TemporaryDirectory(prefix="svt-export-") as aside:
            clips = None
            if contents.clips is not None:
                clips = Path(aside) / checkpoint.run.name
                _copy_clips(checkpoint, contents.clips, clips)
            scoring, most = replace(recipe.eval, also=()), contents.clips or SCORED
            plan = plan_held_out(checkpoint, scoring, clips, most)
            score = _score(plan, arrays)
            if contents.half:
                _compare(score, _score(plan, params), plan)
            metadata["scores"] = json.dumps({unit_of(recipe.model).name: score})
            if clips is not None:
                arrays[CLIPS] = np.frombuffer(pack(clips), np.uint8)
    metadata["crc32c"] = checksum_of(metadata, arrays)
    with replacing(file) as aside_file:
        try:
            save_file(arrays, aside_file, metadata)
        except SafetensorError as error:
            raise StorageFailed(f"{file}: {in_words(error)}") from error


def _exported_recipe(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Recipe with overrides. Errors: Refused for keys that the weights depend on."""
    changed = recipe_from_text(dump_recipe(recipe), "recipe.yaml", overrides)
    for name in SECTIONS:
        if getattr(changed, name) != getattr(recipe, name):
            raise Refused(
                f"section {name}: the weights were trained with it",
                "an export may change sample, eval, render and about",
            )
    return changed


def _without_paths(recipe: Recipe, contents: Contents) -> Recipe:
    """Recipe without places of this machine, if the file has clips or is public."""
    if contents.clips is None and not contents.public:
        return recipe
    own = contents.clips is not None or recipe.data.clips is None
    clips = None if own else str(Path("clips", Path(str(recipe.data.clips)).name))
    return replace(recipe, data=replace(recipe.data, source=None, clips=clips))


def _copy_clips(checkpoint: Checkpoint, count: int, out: Path) -> None:
    """Copy clips of every split that the recipe samples or scores to `out`."""
    recipe = checkpoint.recipe
    sample, scoring = recipe.sample, recipe.eval
    frames = max(recipe.resolved(each).frames for each in (sample, scoring))
    labels = {sample.split: label_pattern(sample.subset, sample.match)}
    for split in (scoring.split, *scoring.also):
        labels[split] = label_pattern(scoring.subset, scoring.match)
    copy_clips(checkpoint.clips, labels, count, frames, out)


def _score(plan: HeldOutPlan, arrays: Named) -> float:
    """Score of these weights on the plan's clips, as `svt eval` computes it."""
    start_jax()
    config, settings = plan.checkpoint.recipe.model, plan.checkpoint.recipe.eval
    graphdef, shapes = structure(config)
    params = unnamed(
        {k: jnp.asarray(x, jnp.float32) for k, x in arrays.items()}, shapes
    )
    network = for_products_in(graphdef, params, jnp.dtype(settings.precision))
    lengths = Lengths(plan.prime, plan.frames, plan.overlap)
    scorer = Scorer(config, graphdef, network)
    return score_clips(scorer, plan.read(), lengths, settings.batch).mean


def _compare(half: float, full: float, plan: HeldOutPlan) -> None:
    """Compare scores of half and full precision. Errors: CheckFailed."""
    if not abs(half - full) <= TOLERANCE * abs(full):
        raise CheckFailed(
            f"{plan.checkpoint.name}: scores {half:.6g} in half precision and "
            f"{full:.6g} in float32, on {counted(len(plan.numbers), 'clip')}; at most "
            f"{TOLERANCE:.1%} may lie between them",
            "export it without --half",
        )


def checksum_of(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """CRC-32C of metadata and arrays, eight hexadecimal digits."""
    text = json.dumps(metadata, sort_keys=True)
    checksum = google_crc32c.value(text.encode())
    for name in sorted(arrays):
        checksum = google_crc32c.extend(checksum, arrays[name].tobytes())
    return f"{checksum:08x}"
