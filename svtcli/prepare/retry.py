"""Retry failures only: the clips of other videos are copied, not decoded again."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from pathlib import Path

from svtcli.clips.format import (
    FLOAT,
    HEADER,
    Layout,
    Manifest,
    Shard,
    check_shard_file,
    read_facts,
    read_offsets,
)
from svtcli.prepare.journal import Built
from svtcli.prepare.plan import (
    Cut,
    Failed,
    Group,
    Outcome,
    Plan,
    Promise,
    Task,
    beside,
)

FinishedClip = tuple[Path, Cut]
"""A shard's path without the ending, and a clip in it."""


@dataclass(frozen=True)
class KeepTask:
    """Copies the finished clips of one source."""

    source: str
    clips: tuple[FinishedClip, ...]
    failures: tuple[Failed, ...]
    layout: Layout

    @property
    def units(self) -> int:
        return 0

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple({path.parent for path, _ in self.clips})

    def promise(self) -> Promise:
        return Promise(len(self.clips), sum(cut.frames for _, cut in self.clips))

    def run(self, frames: Path) -> Outcome:
        self._copy("frames", frames, prod(self.layout.shape))
        for name, size in self.layout.beside.items():
            self._copy(name, beside(frames, name), size * FLOAT.itemsize)
        cuts, first = [], 0
        for _, cut in self.clips:
            cuts.append(replace(cut, first=first))
            first += cut.frames
        return Outcome(first, tuple(cuts), self.failures)

    def _copy(self, ending: str, to: Path, row: int) -> None:
        with to.open("xb") as file:
            for path, cut in self.clips:
                with path.with_name(f"{path.name}.{ending}.npy").open("rb") as shard:
                    shard.seek(HEADER + cut.first * row)
                    file.write(shard.read(cut.frames * row))


def retry_groups(
    plan: Plan, folder: Path, manifest: Manifest, failures: list[Failed]
) -> tuple[Group, ...]:
    """Return the groups of `plan` with failures; tasks without one copy their clips."""
    unreadable = {failure.source for failure in failures if failure.unreadable}
    short = _by_source(
        failure for failure in failures if failure.source not in unreadable
    )
    layout = Layout(manifest.shape, manifest.beside)

    def tasks(group: Group) -> Iterator[Task]:
        clips = _finished_clips(group, folder, manifest)
        for task in group.tasks:
            source = task.source
            if source in unreadable:
                yield task
            else:
                yield KeepTask(
                    source, tuple(clips[source]), tuple(short[source]), layout
                )

    return tuple(
        replace(group, tasks=tuple(tasks(group)))
        for group in plan.groups
        if any(task.source in unreadable for task in group.tasks)
    )


def kept_groups(
    plan: Plan,
    retried: tuple[Group, ...],
    manifest: Manifest,
    failures: list[Failed],
) -> dict[str, Built]:
    """Return the records of groups that are not `retried`, by the group's name."""
    names, by_source = {group.name for group in retried}, _by_source(failures)
    return {
        group.name: Built(
            dict(_shards(group, manifest)),
            tuple(
                failure for task in group.tasks for failure in by_source[task.source]
            ),
            0,
            {},
        )
        for group in plan.groups
        if group.name not in names
    }


def _by_source(failures: Iterable[Failed]) -> dict[str, list[Failed]]:
    by_source = defaultdict[str, list[Failed]](list)
    for failure in failures:
        by_source[failure.source].append(failure)
    return by_source


def _finished_clips(
    group: Group, folder: Path, manifest: Manifest
) -> dict[str, list[FinishedClip]]:
    """Clips of a group's shards, by the source of their task."""
    clips = defaultdict[str, list[FinishedClip]](list)
    sources = {task.source for task in group.tasks}
    for split, shard in _shards(group, manifest):
        path = folder / shard.name
        offsets = read_offsets(folder, shard).tolist()
        facts = read_facts(folder, shard)
        for name in manifest.beside:
            check_shard_file(folder, shard, f"{name}.npy")
        for about, (first, end) in zip(facts, pairwise(offsets), strict=True):
            # A record of a file is `FILE#NUMBER`.
            whole = about.source in sources
            source = about.source if whole else about.source.rpartition("#")[0]
            clips[source].append((path, Cut(split, first, end - first, about)))
    return clips


def _shards(group: Group, manifest: Manifest) -> Iterator[tuple[str, Shard]]:
    """Yield the finished shards of a group, each with its split."""
    for name, split in manifest.splits.items():
        # Groups of one split each share their labels with those of the others.
        if group.name.removesuffix(f"-{group.label}") in (name, "all"):
            for shard in split.shards:
                if shard.name == f"{name}-{group.label}":
                    yield name, shard
