"""One real training step of every recipe of the paper, whole slices, one slice a batch.

Minutes each, and gigabytes: run those that matter with `-m slow -k NAME`.
"""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest
from svtcli.clips.writer import ShardWriter
from svtcli.model.svt import parameter_count
from svtcli.recipe.load import LoadedRecipe, load_recipe, shipped_recipes
from svtcli.recipe.schema import Recipe
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train.stage import train

SMALL = (
    "quickstart",
    "moving_mnist_small",
    "moving_mnist_digits",
    "push",
    "push_small",
)
PAPERS = [name for name in shipped_recipes() if name not in SMALL]
BYTES_PER_PARAMETER = 24
"""Of memory: parameters, two moments, gradient, and what the update needs meanwhile."""


def one_slice(name: str, clips: Path) -> LoadedRecipe:
    """The recipe with one row a batch; two where a row is a first slice."""
    rows = 2 if load_recipe(name).recipe.model.first_slice_layers else 1
    return load_recipe(
        name,
        (
            f"data.clips={clips}",
            f"train.batch={rows}",
            "train.steps=1",
            "train.log_every=1",
            "train.validate_every=null",
            "mesh.data=1",
            "mesh.shard=1",
        ),
    )


def write_noise(folder: Path, recipe: Recipe) -> None:
    """Two clips of the shape that the recipe's dataset has."""
    folder.mkdir()
    frames, height, width = recipe.model.video
    given = recipe.data.actions
    layout = Layout(
        (height, width, recipe.data.channels), {"actions": given} if given else {}
    )
    draw = np.random.default_rng(0)
    with ShardWriter(folder, "train-00000", layout) as writer:
        for i in range(2):
            video = draw.integers(0, 256, (frames, *layout.shape), dtype=np.uint8)
            actions = draw.normal(size=(frames, given)).astype(np.float32)
            beside = dict.fromkeys(layout.beside, actions)
            writer.add(ClipFacts(f"clip {i}", f"{i}.mp4"), video, beside)
    assert writer.shard is not None
    manifest = Manifest(
        spec={},
        inventory="",
        shape=layout.shape,
        splits={"train": Split(2, 2 * frames, (writer.shard,))},
        failures={},
        fingerprint="noise",
        beside=dict(layout.beside),
    )
    write_manifest(folder, manifest)


def skip_where_too_large(recipe: Recipe, place: Path) -> None:
    parameters = parameter_count(recipe.model)
    for what, need, there in (
        ("memory", BYTES_PER_PARAMETER * parameters, free_memory()),
        ("disk", 13 * parameters, shutil.disk_usage(place).free),
    ):
        if need > there:
            has = f"{there / 1e9:.1f} GB are free"
            pytest.skip(f"needs {need / 1e9:.1f} GB of {what}, {has}")


def free_memory() -> int:
    """Bytes that a process can have, what caches hold included."""
    facts = Path("/proc/meminfo").read_text().splitlines()
    available = next(line for line in facts if line.startswith("MemAvailable:"))
    return int(available.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_recipe_trains_one_step_at_full_slice_size(
    name: str, tmp_path: Path
) -> None:
    loaded = one_slice(name, tmp_path / "clips")
    skip_where_too_large(loaded.recipe, tmp_path)
    assert loaded.recipe.train.remat
    write_noise(tmp_path / "clips", loaded.recipe)
    run = RunFolder(tmp_path / "run")

    trained = train(loaded, run, Silent())

    assert run.steps() == (1,)
    (row,) = read_metrics(run.metrics)
    assert math.isfinite(row["grad_norm"])
    assert row["grad_norm"] > 0
    # An untrained model's: what a uniform one scores, or somewhat more.
    uniform = 4096 * math.log(2) if loaded.recipe.data.channels == 1 else 8
    assert trained.score is not None
    assert 0.9 * uniform < trained.score < 2 * uniform
    shutil.rmtree(run.path)
