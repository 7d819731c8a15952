"""Tries again what failed, and nothing else: whole videos are copied, not decoded."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from svtcli.clips.format import (
    HEADER,
    ClipFacts,
    Layout,
    Shard,
    read_facts,
    read_offsets,
)
from svtcli.clips.manifest import Manifest
from svtcli.prepare.plan import (
    Cut,
    Group,
    Miss,
    Outcome,
    Plan,
    Promise,
    Task,
    beside,
)


@dataclass(frozen=True)
class Piece:
    """A clip in a finished shard."""

    split: str
    shard: Path
    """Without the ending."""
    first: int
    frames: int
    facts: ClipFacts


@dataclass(frozen=True)
class KeepTask:
    """Copies what one source gave before."""

    source: str
    pieces: tuple[Piece, ...]
    misses: tuple[Miss, ...]
    layout: Layout

    @property
    def units(self) -> int:
        return 0

    def promise(self) -> Promise:
        return Promise(len(self.pieces), sum(piece.frames for piece in self.pieces))

    def run(self, frames: Path) -> Outcome:
        byte, row = np.dtype(np.uint8), int(np.prod(self.layout.shape))
        self._copy("frames", frames, row * byte.itemsize)
        for name, size in self.layout.beside.items():
            self._copy(name, beside(frames, name), size * 4)
        cuts, first = [], 0
        for piece in self.pieces:
            cuts.append(Cut(piece.split, first, piece.frames, piece.facts))
            first += piece.frames
        return Outcome(first, tuple(cuts), self.misses)

    def _copy(self, ending: str, to: Path, row: int) -> None:
        with to.open("xb") as file:
            for piece in self.pieces:
                path = piece.shard.with_name(f"{piece.shard.name}.{ending}.npy")
                with path.open("rb") as shard:
                    shard.seek(HEADER + piece.first * row)
                    file.write(shard.read(piece.frames * row))


def retry_groups(
    plan: Plan, folder: Path, manifest: Manifest, misses: list[Miss]
) -> tuple[Group, ...]:
    """The groups of `plan` in which something is broken, with the rest to be copied."""
    broken = {miss.source for miss in misses if miss.broken}
    short = defaultdict(list)
    for miss in misses:
        if miss.source not in broken:
            short[miss.source].append(miss)
    return tuple(
        replace(group, tasks=_tasks(group, broken, dict(short), folder, manifest))
        for group in plan.groups
        if any(task.source in broken for task in group.tasks)
    )


def _tasks(
    group: Group,
    broken: set[str],
    short: dict[str, list[Miss]],
    folder: Path,
    manifest: Manifest,
) -> tuple[Task, ...]:
    pieces = defaultdict[str, list[Piece]](list)
    sources = {task.source for task in group.tasks}
    for split, shard in group_shards(group, manifest):
        for piece in _pieces(split, shard, folder):
            pieces[_task_of(piece, sources)].append(piece)
    layout = Layout(manifest.shape, manifest.beside)
    return tuple(
        task
        if task.source in broken
        else KeepTask(
            task.source,
            tuple(pieces[task.source]),
            tuple(short.get(task.source, ())),
            layout,
        )
        for task in group.tasks
    )


def _task_of(piece: Piece, sources: set[str]) -> str:
    """The source of the task that gave a clip; a record of a file is `FILE#NUMBER`."""
    source = piece.facts.source
    return source if source in sources else source.rpartition("#")[0]


def group_shards(group: Group, manifest: Manifest) -> Iterator[tuple[str, Shard]]:
    """The finished shards of a group, each with its split."""
    for name, split in manifest.splits.items():
        # Groups of one split each share their labels with those of the others.
        if group.name.removesuffix(f"-{group.label}") in (name, "all"):
            for shard in split.shards:
                if shard.name == f"{name}-{group.label}":
                    yield name, shard


def _pieces(split: str, shard: Shard, folder: Path) -> Iterator[Piece]:
    offsets = read_offsets(folder, shard).tolist()
    facts = read_facts(folder / shard.name, shard.clips)
    for about, (first, last) in zip(facts, pairwise(offsets), strict=True):
        yield Piece(split, folder / shard.name, first, last - first, about)
