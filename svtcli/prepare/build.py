"""Build the shards of groups from the frames that workers write, and count progress.

The same function serves one machine, which gets all groups, and a cluster, whose
machines get one each: the bytes of a group depend on nothing but the group.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

import numpy as np

from svtcli.clips.format import FLOAT, PIXEL, Layout
from svtcli.clips.writer import ShardWriter
from svtcli.failure import CheckFailed
from svtcli.prepare.journal import Built, Journal, listed_units
from svtcli.prepare.plan import (
    Failed,
    Group,
    Outcome,
    Plan,
    Task,
    beside,
    units_of,
)
from svtcli.prepare.workers import outcomes
from svtcli.run.partial import ArrayTask
from svtcli.run.progress import Progress

Count = Callable[[int, int, tuple[Failed, ...]], None]
"""Takes the units, frames and failures of finished work."""
EARLIEST = 100
"""Failures that are seen before the rest is abandoned; of few, all are listed."""


@dataclass(frozen=True)
class PrepareOptions:
    """Settings that change the time of a preparation, and no byte of the clips."""

    workers: int | None = None
    """Worker processes; None: one per CPU."""
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    """Address of a Ray cluster; None starts Ray on this machine."""
    task: ArrayTask | None = None
    time_limit: float = 600.0
    """Seconds for one file."""

    @property
    def processes(self) -> int:
        """Number of worker processes on this machine."""
        if self.workers:
            return self.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1


class TooManyFailures(CheckFailed):
    """More sources failed than the caller allows."""


class BuildProgress:
    """Counts finished and failed units, reports them, and decides when to give up."""

    def __init__(self, progress: Progress, plan: Plan, max_failures: float) -> None:
        self._progress, self._plan, self._limit = progress, plan, max_failures
        self._done, self._failed, self._frames = 0, 0, 0
        self._since = monotonic()
        self.failures: list[Failed] = []
        """Failures so far."""

    def resume(self, groups: Iterable[Group], built: Mapping[str, Built]) -> None:
        """Count the groups that were finished by an earlier run."""
        self._done = units_of(group for group in groups if group.name in built)
        self._fail(failure for each in built.values() for failure in each.failures)

    def _fail(self, failures: Iterable[Failed]) -> None:
        for failure in failures:
            self.failures.append(failure)
            self._failed += failure.lost if failure.unreadable else 0

    def add(self, units: int, frames: int, failures: tuple[Failed, ...]) -> None:
        """Count finished units, and name each failure at once.

        Errors: `TooManyFailures` as soon as there are too many, and at least 100.
        """
        self._done += units
        self._frames += frames
        self._fail(failures)
        for failure in failures:
            if failure.unreadable:
                self._progress.note(str(failure))
        facts = {}
        if self._frames or self._failed:
            seconds = max(monotonic() - self._since, 1e-3)
            facts["frames/s"] = f"{self._frames / seconds:.0f}"
        if self._failed:
            facts["failed"] = str(self._failed)
        self._progress.advance(self._done, facts or None)
        if self._failed > EARLIEST:
            self.check()

    def check(self) -> None:
        """Compare with the limit. Errors: `TooManyFailures`."""
        units = self._plan.units
        allowed = int(self._limit * units + 1e-9)
        if self._limit:  # one bad file of a few is no reason to stop
            allowed = max(1, allowed)
        if self._failed > allowed:
            unreadable = [each for each in self.failures if each.unreadable]
            may = (
                f"at most {allowed} ({100 * self._limit:.3g} %)" if allowed else "none"
            )
            raise TooManyFailures(
                f"{self._failed} of {self._plan.total()} could not be read "
                f"({listed_units(unreadable)}): {100 * self._failed / units:.3g} %; "
                f"{may} may fail"
            )


def build_here(
    groups: tuple[Group, ...],
    layout: Layout,
    journal: Journal,
    options: PrepareOptions,
    builder: str,
    count: Count = lambda units, frames, failures: None,
    check: Callable[[], None] = lambda: None,
) -> Generator[tuple[Group, Built], None, None]:
    """Build groups one after the other, with tasks of several groups in the workers.

    `builder` names a temporary folder in the journal; `count` is called after each
    task, and `check` often; both may raise to stop. Errors: those of `outcomes`.
    """
    tasks = [task for group in groups for task in group.tasks]
    processes, limit = options.processes, options.time_limit
    with journal.building(builder) as place:
        results = outcomes(tasks, place, processes, limit, check)
        try:
            for group in groups:
                built = _assemble(group, layout, place, results, count)
                journal.finish(group, built, place)
                yield group, built
        finally:
            # Ends the worker processes now, not when the generator is collected.
            results.close()


def _assemble(
    group: Group,
    layout: Layout,
    place: Path,
    results: Iterator[tuple[Task, Outcome, Path]],
    count: Count,
) -> Built:
    """Write the shards of one group from the next results."""
    writers: dict[str, ShardWriter] = {}
    all_outcomes: list[Outcome] = []
    with ExitStack() as stack:
        for _ in group.tasks:
            task, outcome, path = next(results)
            if outcome.cuts:
                video, values = _read_frames(path, outcome.frames, layout)
            for cut in outcome.cuts:
                if cut.split not in writers:
                    writer = ShardWriter(place, f"{cut.split}-{group.label}", layout)
                    writers[cut.split] = stack.enter_context(writer)
                here = slice(cut.first, cut.first + cut.frames)
                own = {name: rows[here] for name, rows in values.items()}
                writers[cut.split].add(cut.facts, video[here], own)
            all_outcomes.append(outcome)
            count(task.units, outcome.frames, outcome.failures)
    return Built(
        {split: w.shard for split, w in writers.items() if w.shard is not None},
        tuple(failure for outcome in all_outcomes for failure in outcome.failures),
        sum(outcome.leftover_frames for outcome in all_outcomes),
        add_levels(outcome.levels for outcome in all_outcomes),
    )


def _read_frames(
    path: Path, frames: int, layout: Layout
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Map the frames that a task wrote, and read the values beside them."""
    video = np.memmap(path, PIXEL, "r", shape=(frames, *layout.shape))
    values = {
        name: np.fromfile(beside(path, name), FLOAT).reshape(frames, size)
        for name, size in layout.beside.items()
    }
    return video, values


def add_levels(
    each: Iterable[Mapping[str, tuple[int, ...]]],
) -> dict[str, tuple[int, ...]]:
    """Add histograms, split by split."""
    total: dict[str, np.ndarray] = {}
    for levels in each:
        for split, counts in levels.items():
            total[split] = total.get(split, np.zeros(256, np.int64)) + counts
    return {split: tuple(counts.tolist()) for split, counts in total.items()}
