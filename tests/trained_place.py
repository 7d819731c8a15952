"""A working directory with clips, a recipe and a trained run, small enough to copy.

The recipe is `mine.yaml`; its model takes 4 frames of 4 × 4, RGB; its run is trained
for 3 steps. Split `test` holds five clips, one of them too short for the model.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from svtcli.cli.app import main
from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest
from svtcli.clips.writer import ShardWriter
from svtcli.prepare.plan import spec_of
from svtcli.recipe.load import load_recipe

RECIPE = """\
about: small
data: {kind: folder, source: gone, size: 4, test: 0.3}
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
train: {steps: 3, batch: 4, learning_rate: 1e-2, save_every: 2, log_every: 1}
sample: {count: 3, batch: 2}
eval: {batch: 3, baselines: [uniform]}
render: {formats: [png], scale: 1}
"""
LENGTHS = {"train": (6, 6, 6), "test": (6, 6, 3, 8, 6)}
RUN = Path("runs/mine")


def noise(lengths: Sequence[int], seed: int, side: int = 4) -> list[np.ndarray]:
    """Videos of these lengths, every pixel at random."""
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, (n, side, side, 3), np.uint8) for n in lengths]


def write_clips(
    folder: Path,
    splits: Mapping[str, Sequence[np.ndarray]],
    spec: Mapping[str, object] | None = None,
    actions: int = 0,
) -> Path:
    """Prepared clips: uint8 [F, H, W, C] each, `spec` the settings that made them.

    With `actions` numbers a frame, at random.
    """
    folder.mkdir(parents=True)
    beside = {"actions": actions} if actions else {}
    done, layout = {}, Layout(next(iter(splits.values()))[0].shape[1:], beside)
    draw = np.random.default_rng(7)
    for split, videos in splits.items():
        with ShardWriter(folder, f"{split}-00000", layout) as writer:
            for i, video in enumerate(videos):
                values = {
                    name: draw.normal(size=(len(video), size)).astype(np.float32)
                    for name, size in beside.items()
                }
                writer.add(ClipFacts(f"{split} {i}", f"{split}{i}.mp4"), video, values)
        assert writer.shard is not None
        frames = sum(len(video) for video in videos)
        done[split] = Split(len(videos), frames, (writer.shard,))
    manifest = Manifest(
        spec=dict(spec or {}),
        inventory="",
        shape=videos[0].shape[1:],
        splits=done,
        beside=beside,
        failures={},
        fingerprint=f"of {folder}",
    )
    write_manifest(folder, manifest)
    return folder


def make_trained_place(place: Path, actions: int = 0) -> Path:
    """Write the clips and the recipe into `place`, and train.

    With `actions`, the model takes so many numbers a frame.
    """
    recipe = RECIPE
    if actions:
        recipe = recipe.replace("kind: folder", "kind: arrays")
        recipe = recipe.replace("  blocks", f"  actions: {actions}\n  blocks")
    (place / "mine.yaml").write_text(recipe)
    spec = spec_of(load_recipe(str(place / "mine.yaml")).recipe.data)
    splits = {split: noise(n, len(n)) for split, n in LENGTHS.items()}
    write_clips(place / "clips" / "mine", splits, spec, actions)
    with working_in(place):
        assert main(["-q", "train", "mine.yaml"]) == 0
    return place


@contextmanager
def working_in(place: Path) -> Iterator[None]:
    """`place` as working directory."""
    before = Path.cwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)
