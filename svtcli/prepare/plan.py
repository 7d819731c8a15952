"""Plan of a preparation: tasks in groups, and a shard of each group and split.

It is fixed before the work begins, and every engine runs the same tasks: the bytes do
not depend on the number or the place of the workers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from svtcli.clips.format import ClipFacts, Layout, Split
from svtcli.recipe.data import Data, MovingMnistData, PushData
from svtcli.recipe.setting import influential
from svtcli.run.durable import fingerprint
from svtcli.run.progress import counted
from svtcli.video import library_versions

REASONS = {
    "open": "unreadable",
    "no-video": "without video",
    "decode": "damaged",
    "time-stamps": "without times",
    "too-short": "too short",
    "crash": "that crashed the decoder",
    "timeout": "over the time limit",
    "action-missing": "without actions",
    "state-missing": "without states",
    "layout": "of another layout",
    "values": "with invalid numbers",
}
"""Reasons of `failures.jsonl`, in the words of a summary."""
MOST_NAMED = 20
"""Most files without clips that a list names."""
SHARDS = 40
"""Fewest shards of a split of files, where it has as many."""


@dataclass(frozen=True)
class Cut:
    """One clip in the frames that a task wrote."""

    split: str
    first: int
    """First frame of the clip in these frames."""
    frames: int
    facts: ClipFacts


@dataclass(frozen=True)
class Failed:
    """A part of the source that gave no clip; a line of `failures.jsonl`."""

    source: str
    """Source of the task."""
    reason: str
    """`open`, `no-video`, `decode`, `time-stamps`, `crash`, …: it could not be read;
    `too-short`: it holds less than one clip."""
    detail: str
    split: str | None = None
    """Split, if only the clip of one split is missing."""
    record: int | None = None
    """Number of the record, if only one of a file is missing."""
    lost: int = 1
    """Units of the plan that gave no clips."""

    @property
    def unreadable(self) -> bool:
        """True unless the source is only too short."""
        return self.reason != "too-short"

    def __str__(self) -> str:
        return f"{self.item}: {self.reason}: {self.detail}"

    @property
    def item(self) -> str:
        """Name of the missing part, for messages."""
        return self.source if self.record is None else f"{self.source}#{self.record}"


@dataclass(frozen=True)
class Outcome:
    """Result of a task; small, as it travels between processes."""

    frames: int = 0
    """Frames written."""
    cuts: tuple[Cut, ...] = ()
    failures: tuple[Failed, ...] = ()
    leftover_frames: int = 0
    """Frames at the end that did not fill a clip."""
    levels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Moving MNIST: counts of the 256 levels in the predicted frames of each split."""


@dataclass(frozen=True)
class Promise:
    """Estimate of a task's result by headers."""

    clips: int
    frames: int


@runtime_checkable
class Task(Protocol):
    """Smallest piece of work, and the most that a crash can lose."""

    @property
    def source(self) -> str:
        """Name of its source; unique in a plan."""

    @property
    def units(self) -> int:
        """Amount of work in the plan's unit."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders that it reads."""

    def promise(self) -> Promise:
        """Estimate clips and frames by headers; none of a source that is damaged."""

    def run(self, frames: Path) -> Outcome:
        """Write uint8 frames back to back to the file `frames`, which does not exist.

        The float32 values of each frame go to `beside(frames, name)`, one file for
        each name in the plan's layout. Runs in another process. A damaged source is an
        outcome, not an error.
        """


def beside(frames: Path, name: str) -> Path:
    """Path for the `actions` or `states` of a task's frames."""
    return frames.with_suffix(f".{name}")


@dataclass(frozen=True)
class ClipRange:
    """Task that computes clips first … last − 1 of a split."""

    data: PushData | MovingMnistData
    split: str
    first: int
    last: int

    @property
    def source(self) -> str:
        return f"{self.split} {self.first}..{self.last - 1}"

    @property
    def units(self) -> int:
        return self.last - self.first

    def promise(self) -> Promise:
        return Promise(self.units, self.units * self.data.frames)


def clip_ranges(total: int, most: int) -> list[tuple[int, int]]:
    """Share `total` clips among tasks of `most`: first … last − 1 of each."""
    return [(first, min(first + most, total)) for first in range(0, total, most)]


@dataclass(frozen=True)
class Group:
    """Tasks whose clips share a shard, one shard for each split."""

    name: str
    label: str
    """Suffix of its shards: `<split>-<label>`."""
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Generated:
    """A split whose clips are generated when they are read, instead of stored."""

    clips: int
    keep: Callable[[Path], Split]
    """Writes their inputs to a folder; returns the manifest's entry of the split."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides the bytes of a dataset."""

    spec: Mapping[str, Any]
    """Settings of the recipe, without the places of source and clips."""
    inventory: str
    """Fingerprint of the list of source files."""
    layout: Layout
    """Shape of a frame, and the values beside it."""
    groups: tuple[Group, ...]
    unit: str
    """Unit of work: `videos` or `clips`."""
    pixels: str = ""
    """Path from source to frames: crop, filter, frame rate."""
    predicted_frames: int = 0
    """Moving MNIST: frames of a clip in the lower bound."""
    notes: tuple[str, ...] = ()
    drawn: Mapping[str, Generated] = field(default_factory=dict)
    """Splits without groups: their clips are generated when they are read."""
    findings: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the source, for `report.json`."""
    unusable: tuple[Failed, ...] = ()
    """Files whose headers tell that they give no clips; each counts as one unit."""

    @cached_property
    def units(self) -> int:
        """Total amount of work."""
        return units_of(self.groups)

    def total(self) -> str:
        """Return the amount of work in words: `38 clips`, with files among them."""
        files = " and files" if self.unusable else ""
        return counted(self.units, self.unit.removesuffix("s")) + files

    @cached_property
    def order(self) -> str:
        """Fingerprint of the order of tasks: equal orders have equal shards."""
        return fingerprint(
            [(g.name, [task.source for task in g.tasks]) for g in self.groups]
        )

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of everything that decides the bytes."""
        versions = library_versions()
        return fingerprint(self.spec, self.inventory, self.order, self.layout, versions)


def listed_reasons(counts: Mapping[str, int]) -> str:
    """List reasons with their counts: `3 damaged, 1 too short`."""
    return ", ".join(f"{n} {REASONS.get(key, key)}" for key, n in counts.items())


def listed_failures(failures: Sequence[Failed]) -> Iterator[str]:
    """Yield lines that count and name files that will give no clips."""
    if failures:
        yield f"{counted(len(failures), 'file')} cannot be used:"
    yield from map(str, failures[:MOST_NAMED])
    if failures[MOST_NAMED:]:
        yield f"and {len(failures) - MOST_NAMED} more"


def spec_of(data: Data) -> dict[str, Any]:
    """Return the settings that decide the clips, as JSON has them."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in influential(data).items()
    }


def units_of(groups: Iterable[Group]) -> int:
    """Add up the work of groups."""
    return sum(task.units for group in groups for task in group.tasks)


def group_tasks(tasks: Sequence[Task], most: int, prefix: str) -> list[Group]:
    """Split tasks into groups of `most`, or smaller ones where there would be few.

    A group is the work of one CPU of a cluster and of one task of a job array. Its size
    depends on the number of tasks alone: files that are repaired stay where they are.
    """
    return split_evenly(tasks, max(1, min(most, len(tasks) // SHARDS)), prefix)


def split_evenly(tasks: Sequence[Task], per_shard: int, prefix: str) -> list[Group]:
    """Split tasks in order into groups: `00000-of-00002`, `00001-of-00002`, …"""
    count = -(-len(tasks) // per_shard)
    labels = [f"{i:05d}-of-{count:05d}" for i in range(count)]
    return [
        Group(f"{prefix}-{label}", label, tuple(tasks[i : i + per_shard]))
        for label, i in zip(labels, range(0, len(tasks), per_shard), strict=True)
    ]
