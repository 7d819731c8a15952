"""Small prepared clips of several splits, written as `svt prepare` writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest
from svtcli.clips.writer import ShardWriter


def write_clips(
    folder: Path,
    lengths: Mapping[str, Sequence[int]],
    shape: tuple[int, int, int] = (12, 12, 3),
    labels: Sequence[str | None] = ("baking cookies", None),
) -> Path:
    """Clips of random pixels below 200, `lengths` frames long; labels take turns."""
    folder.mkdir(parents=True)
    rng, splits = np.random.default_rng(0), {}
    for split, of_split in lengths.items():
        name = f"{split}-00000-of-00001"
        with ShardWriter(folder, name, Layout(shape)) as writer:
            for i, length in enumerate(of_split):
                label = labels[i % len(labels)]
                facts = ClipFacts(f"{split} {i}", f"v{i}.mp4", label=label)
                writer.add(facts, rng.integers(0, 200, (length, *shape), np.uint8))
        assert writer.shard is not None
        splits[split] = Split(len(of_split), sum(of_split), (writer.shard,))
    manifest = Manifest(
        spec={},
        inventory="",
        shape=shape,
        splits=splits,
        failures={},
        fingerprint="f",
    )
    write_manifest(folder, manifest)
    return folder
