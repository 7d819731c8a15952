"""Folder for a model hub: weights, recipe, and a model card with scores and pictures.

FOLDER/model.safetensors   the file of `export.py`, which has everything for an import
FOLDER/recipe.yaml         its recipe, to be read
FOLDER/README.md           the model card, with the hub's facts as YAML at its beginning
FOLDER/samples.gif, …      pictures of samples of this checkpoint, if any were drawn
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

import yaml
from safetensors import safe_open

from svtcli.evaluate.metrics import METRICS
from svtcli.failure import Refused
from svtcli.project.export import RECIPE_FILE as RECIPE
from svtcli.project.export import WEIGHTS_FILE as WEIGHTS
from svtcli.project.export import Contents, export_weights
from svtcli.project.showing import Showing, showing
from svtcli.recipe.schema import UNITS
from svtcli.run.directory import read_run
from svtcli.run.durable import move_into_place, removed
from svtcli.run.progress import Progress
from svtcli.train.commit_record import Checkpoint

CARD = "README.md"
MOST_PICTURES = 4
PAPER = "https://arxiv.org/abs/1906.02634"
TAGS = ("video-generation", "video-prediction", "autoregressive", "jax")


def export_folder(
    checkpoint: Checkpoint,
    folder: Path,
    contents: Contents,
    progress: Progress,
    force: bool = False,
    dry_run: bool = False,
) -> None:
    """Write the folder; files of other names in it stay. Errors: as `export_weights`.

    Nothing of it is written before all of it can be.
    """
    shown = showing(checkpoint.run, checkpoint.step)
    shown = replace(shown, pictures=shown.pictures[:MOST_PICTURES])
    names = [WEIGHTS, RECIPE, CARD, *(path.name for path in shown.pictures)]
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder}: is a file", "name a folder, or NAME.safetensors")
    there = [folder / name for name in names if (folder / name).exists()]
    if there and not force:
        raise Refused(f"{there[0]}: already exists", "--force overwrites it")
    aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.part")
    contents = replace(contents, public=True)
    if dry_run:
        export_weights(checkpoint, aside / WEIGHTS, contents, dry_run=True)
        return
    with removed(aside):
        aside.mkdir(parents=True)
        export_weights(checkpoint, aside / WEIGHTS, contents)
        with safe_open(aside / WEIGHTS, framework="numpy") as opened:
            recipe = opened.metadata()["recipe"]
        (aside / RECIPE).write_text(recipe, encoding="utf-8")
        name = folder.resolve().name
        card = model_card(name, checkpoint, shown, contents.clips is not None)
        (aside / CARD).write_text(card, encoding="utf-8")
        for path in shown.pictures:
            (aside / path.name).write_bytes(path.read_bytes())
        folder.mkdir(exist_ok=True)
        for each in names:
            move_into_place(aside / each, folder / each)
    if not shown.pictures:
        way = f"svt sample {quote(checkpoint.name)} --render"
        progress.note(f"the model card has no pictures; to draw some: {way}")
    progress.note(f"{folder / CARD} states no license: add yours before you share it")


def model_card(name: str, checkpoint: Checkpoint, shown: Showing, clips: bool) -> str:
    """Model card in Markdown; `clips` are in the file of weights, too."""
    front = yaml.safe_dump(_front_matter(name, checkpoint, shown), sort_keys=False)
    return "\n".join(["---", front + "---", *_text(name, checkpoint, shown, clips), ""])


def _front_matter(name: str, checkpoint: Checkpoint, shown: Showing) -> dict[str, Any]:
    """Facts that a model hub reads, with scores in its form."""
    data = checkpoint.recipe.data.kind
    results = [
        {
            "task": {"type": "video-prediction"},
            "dataset": {"name": f"{data}, {split}", "type": data, "split": split},
            "metrics": [{"type": metric, "name": label, "value": value}],
        }
        for split, metric, label, value in _scores(shown)
    ]
    index = {"model-index": [{"name": name, "results": results}]} if results else {}
    return {"library_name": "svtcli", "tags": list(TAGS), **index}


def _scores(shown: Showing) -> Iterator[tuple[str, str, str, float]]:
    """Split, metric, its label, and value of each score."""
    labels: dict[str, str] = {**UNITS, **{str(k): x.label for k, x in METRICS.items()}}
    for score, value in shown.scores.items():
        split, _, metric = score.rpartition(".")
        yield split, metric, labels.get(metric, metric), float(f"{value:.5g}")


def _text(
    name: str, checkpoint: Checkpoint, shown: Showing, clips: bool
) -> Iterator[str]:
    """Lines of the card below its front matter."""
    recipe, facts = checkpoint.recipe, read_run(checkpoint.run)
    T, H, W = recipe.model.video
    run, folder = quote(checkpoint.run.name), quote(name)
    prime = recipe.resolved(recipe.sample).prime
    yield f"# {name}\n"
    yield from [f"{recipe.about}\n"] if recipe.about else []
    yield (
        f"A Subscale Video Transformer ([Weissenborn et al., 2020]({PAPER})), trained "
        f"with svt for {checkpoint.step:,} steps of {recipe.train.batch} slices on "
        f"videos of the kind `{recipe.data.kind}`. It continues the first frames of a "
        f"video ({prime} by default), at {H} x {W} pixels, and sees {T} frames at "
        "once.\n"
    )
    for path in shown.pictures:
        yield f"![Ground truth and samples of held-out clips]({quote(path.name)})\n"
    if shown.scores:
        yield "## Scores\n\n| split | metric | value |\n| --- | --- | --- |"
        for split, _, label, value in _scores(shown):
            yield f"| {split} | {label} | {value:g} |"
        yield "\nThe splits are those of the data that the model was trained on.\n"
    yield "## Use\n"
    yield (
        "Install svt (`pip install svtcli`, or `pip install .` in its source), "
        f"and put the files of this page into a folder `{name}`:\n"
    )
    yield from _block(f"svt runs import {folder} {run}")
    own = f"svt sample {run} --video my.mp4 --render"
    if clips:
        yield "The held-out clips in the weights' file can be sampled and scored:\n"
        yield from _block(f"svt sample {run} --render", f"svt eval {run}")
    yield "It continues any video, and a picture shows the result:\n"
    yield from _block(own)
    yield "## Training\n\n| | |\n| --- | --- |"
    yield f"| recipe | `{RECIPE}`, seed {facts.seed} |"
    yield f"| devices | {', '.join(facts.devices) or 'unknown'} |"
    commit = facts.git_commit or "unknown"
    yield f"| svt | {facts.versions.get('svt', 'unknown')}, commit {commit} |"


def _block(*commands: str) -> Sequence[str]:
    """Fenced block of commands."""
    return ("```sh", *commands, "```\n")
