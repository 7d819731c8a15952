"""A run small enough to be trained many times over: its clips and its recipe."""

from pathlib import Path
from typing import Any

import numpy as np

from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest
from svtcli.clips.writer import ShardWriter
from svtcli.recipe.load import LoadedRecipe, load_recipe

RECIPE = """\
data: {{kind: folder, source: videos, clips: {clips}, size: 4}}
model:
  video: [4, 4, 4]
  s: [2, 2, 2]
  de: 4
  d: 8
  na: 2
  da: 3
  encoder_layers: 1
  decoder_layers: 1
  blocks: [[2, 2, 2]]
train:
  {{steps: 12, batch: 4, learning_rate: 1e-2, save_every: 5, keep: 2, log_every: 1}}
"""


def write_clips(
    folder: Path,
    count: int = 5,
    shape: tuple[int, int, int] = (4, 4, 3),
    actions: int = 0,
    seed: int = 0,
    spec: dict[str, Any] | None = None,
    held_out: tuple[str, ...] = (),
) -> Path:
    """Prepared clips of 6 frames of noise, `count` in each split."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    layout = Layout(shape, {"actions": actions} if actions else {})
    splits = {}
    for split in ("train", *held_out):
        with ShardWriter(folder, f"{split}-00000", layout) as writer:
            for i in range(count):
                video = draw.integers(0, 256, (6, *shape), dtype=np.uint8)
                given = draw.normal(size=(6, actions)).astype(np.float32)
                facts = ClipFacts(f"clip {i}", f"v{i}.mp4")
                writer.add(facts, video, dict.fromkeys(layout.beside, given))
        assert writer.shard is not None
        splits[split] = Split(count, 6 * count, (writer.shard,))
    manifest = Manifest(
        spec=spec or {},
        inventory="",
        shape=shape,
        splits=splits,
        failures={},
        fingerprint=f"made of seed {seed}",
        beside=dict(layout.beside),
    )
    write_manifest(folder, manifest)
    return folder


def write_recipe(folder: Path, clips: Path) -> Path:
    """The recipe's file, for the command line."""
    path = folder / "tiny.yaml"
    path.write_text(RECIPE.format(clips=clips))
    return path


def loaded(recipe: Path, *overrides: str) -> LoadedRecipe:
    return load_recipe(str(recipe), overrides)
