"""What is to be prepared, fixed before any of it is: tasks in groups, groups → shards.

Every engine runs the same tasks, so the bytes do not depend on how many workers there
are, or where they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from svtcli.clips.format import ClipFacts, Layout
from svtcli.clips.manifest import Split
from svtcli.recipe.data import Data
from svtcli.recipe.setting import influential
from svtcli.run.fingerprint import fingerprint


@dataclass(frozen=True)
class Cut:
    """One clip in the frames that a task wrote."""

    split: str
    first: int
    """Its first frame there."""
    frames: int
    facts: ClipFacts


@dataclass(frozen=True)
class Miss:
    """Something of the source that gave no clip."""

    source: str
    """The task's."""
    reason: str
    """`open`, `no-video`, `decode`, `crash`, `timeout`: the file is broken;
    `too-short`: it is whole, but holds less than one clip."""
    detail: str
    split: str | None = None
    """Where only the part for one split is missing."""
    record: int | None = None
    """Where only one record of a file of many is missing."""
    lost: int = 1
    """How many units of the plan went with it."""

    @property
    def broken(self) -> bool:
        """Whether the source is at fault, and not its length."""
        return self.reason != "too-short"

    @property
    def item(self) -> str:
        """What is missing, for messages."""
        return self.source if self.record is None else f"{self.source}#{self.record}"


@dataclass(frozen=True)
class Outcome:
    """What one task gave; small, as it travels between processes."""

    frames: int = 0
    """How many were written."""
    cuts: tuple[Cut, ...] = ()
    misses: tuple[Miss, ...] = ()
    leftover_frames: int = 0
    """Frames at the end of a part that did not fill a clip."""
    levels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Moving MNIST: how often each of the 256 levels occurs in the predicted frames of
    each split."""


@dataclass(frozen=True)
class Promise:
    """What a task will give, as far as headers tell."""

    clips: int
    frames: int


@runtime_checkable
class Task(Protocol):
    """The smallest piece of work, the one that a crash may take with it."""

    @property
    def source(self) -> str:
        """What it works on, for messages; no two tasks of a plan have the same."""
        ...

    @property
    def units(self) -> int:
        """How much it is, in the plan's unit."""
        ...

    def promise(self) -> Promise:
        """Look at headers only; a broken source promises nothing."""
        ...

    def run(self, frames: Path) -> Outcome:
        """Write uint8 frames back to back to the file `frames`, which does not exist.

        Numbers that go with each frame, float32, go to `beside(frames, name)`, one
        file for each name in the plan's layout. Runs in another process. A broken
        source is an outcome, not an error.
        """
        ...


def beside(frames: Path, name: str) -> Path:
    """Where a task writes the `actions` or `states` of its frames."""
    return frames.with_suffix(f".{name}")


@dataclass(frozen=True)
class Group:
    """Tasks whose clips share a shard, one shard for each split they give."""

    name: str
    label: str
    """A shard is named `<split>-<label>`."""
    tasks: tuple[Task, ...]


@runtime_checkable
class Drawing(Protocol):
    """How the clips of a split are drawn when they are read, instead of stored."""

    @property
    def clips(self) -> int:
        """How many there are to read."""
        ...

    def keep(self, folder: Path) -> Split:
        """Write what they are drawn from to `folder`; the split for the manifest."""
        ...


@dataclass(frozen=True)
class Plan:
    """Everything that decides the bytes of a dataset."""

    spec: Mapping[str, Any]
    """The settings, without where the source and the clips are."""
    inventory: str
    """Fingerprint of the list of source files."""
    layout: Layout
    """What a frame is."""
    groups: tuple[Group, ...]
    unit: str
    """What is counted: `videos` or `clips`."""
    pixels: str = ""
    """How frames are made: crop, filter, frame rate."""
    predicted_frames: int = 0
    """Moving MNIST: frames of a clip that count for the lower bound."""
    notes: tuple[str, ...] = ()
    drawn: Mapping[str, Drawing] = field(default_factory=dict)
    """Splits without groups: their clips are drawn when they are read."""
    findings: Mapping[str, Any] = field(default_factory=dict)
    """What was found in the source, for `report.json`."""

    @cached_property
    def units(self) -> int:
        """How much there is to do."""
        return sum(task.units for group in self.groups for task in group.tasks)

    @cached_property
    def order(self) -> str:
        """Fingerprint of which task is where: equal orders have equal shards."""
        return fingerprint(
            [(g.name, [task.source for task in g.tasks]) for g in self.groups]
        )


def spec_of(data: Data) -> dict[str, Any]:
    """What decides the clips, as JSON says it: all but where source and clips are."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in influential(data).items()
    }


def group_tasks(tasks: Sequence[Task], per_shard: int, prefix: str) -> list[Group]:
    """Split tasks in order into groups: `00000-of-00002`, `00001-of-00002`, …"""
    count = -(-len(tasks) // per_shard)
    labels = [f"{i:05d}-of-{count:05d}" for i in range(count)]
    return [
        Group(f"{prefix}-{label}", label, tuple(tasks[i : i + per_shard]))
        for label, i in zip(labels, range(0, len(tasks), per_shard), strict=True)
    ]
