"""Small datasets of one split, for tests of what reads or checks them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest
from svtcli.clips.writer import ShardWriter

MakeClips = Callable[..., Path]


def clip_maker(default: Path) -> MakeClips:
    """Return a function that writes a dataset of one split, `train`, to a folder.

    Frame f of clip i holds i and f.
    """

    def make(
        lengths: Sequence[int],
        shape: tuple[int, int, int] = (4, 6, 3),
        actions: int = 0,
        per_shard: int = 2,
        labels: Sequence[str | None] = (None,),
        folder: Path = default,
    ) -> Path:
        folder.mkdir(parents=True)
        layout = Layout(shape, {"actions": actions} if actions else {})
        shards = []
        for first in range(0, len(lengths), per_shard):
            with ShardWriter(folder, f"train-{first:05d}", layout) as writer:
                for i, length in enumerate(lengths[first : first + per_shard], first):
                    video, given = clip(i, length, shape, actions)
                    beside = {} if given is None else {"actions": given}
                    facts = ClipFacts(
                        f"clip {i}", f"v{i}.mp4", label=labels[i % len(labels)]
                    )
                    writer.add(facts, video, beside)
            assert writer.shard is not None
            shards.append(writer.shard)
        split = Split(len(lengths), sum(lengths), tuple(shards))
        manifest = Manifest(
            spec={},
            inventory="",
            shape=shape,
            splits={"train": split},
            failures={},
            fingerprint="f",
            beside=dict(layout.beside),
        )
        write_manifest(folder, manifest)
        return folder

    return make


def clip(
    index: int, length: int, shape: tuple[int, int, int], actions: int = 0
) -> tuple[np.ndarray, np.ndarray | None]:
    """A clip whose every number says which clip and which frame it belongs to."""
    video = np.random.default_rng(index).integers(
        0, 256, (length, *shape), dtype=np.uint8
    )
    video[:, 0, 0, 0], video[:, 0, 1, 0] = index, np.arange(length)
    if not actions:
        return video, None
    given = np.add.outer(np.arange(length), np.arange(actions) / 10) + 100 * index
    return video, given.astype(np.float32)
