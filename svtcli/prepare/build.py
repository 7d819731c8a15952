"""Assembles the shards of groups from what the workers write.

The same function serves one machine, where it is given all groups, and a cluster, where
each machine is given some: the bytes of a group depend on nothing but the group.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from svtcli.clips.format import Layout
from svtcli.clips.writer import ShardWriter
from svtcli.prepare.journal import Built, Journal
from svtcli.prepare.plan import Group, Outcome, Task, beside
from svtcli.prepare.workers import outcomes

Watch = Callable[[Task, Outcome], None]
"""Is told of every task that is done."""


def build_here(
    groups: tuple[Group, ...],
    layout: Layout,
    journal: Journal,
    who: str,
    workers: int,
    time_limit: float,
    watch: Watch,
    check: Callable[[], None] = lambda: None,
) -> Generator[tuple[Group, Built], None, None]:
    """Build groups one after the other, with tasks of several of them in the workers.

    `who` names the builder's folder in the journal; `check` is called often, and may
    raise to stop. Errors: those of `outcomes`.
    """
    tasks = [task for group in groups for task in group.tasks]
    with journal.building(who) as place:
        results = outcomes(tasks, place, workers, time_limit, check)
        try:
            for group in groups:
                built = _assemble(group, layout, place, results, watch)
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
    watch: Watch,
) -> Built:
    """Write the shards of one group from the next results."""
    writers: dict[str, ShardWriter] = {}
    gave: list[Outcome] = []
    with ExitStack() as stack:
        for _ in group.tasks:
            task, outcome, path = next(results)
            if outcome.cuts:
                video, numbers = _written(path, outcome.frames, layout)
                for cut in outcome.cuts:
                    if cut.split not in writers:
                        writer = ShardWriter(
                            place, f"{cut.split}-{group.label}", layout
                        )
                        writers[cut.split] = stack.enter_context(writer)
                    here = slice(cut.first, cut.first + cut.frames)
                    cut_numbers = {name: rows[here] for name, rows in numbers.items()}
                    writers[cut.split].add(cut.facts, video[here], cut_numbers)
            gave.append(outcome)
            watch(task, outcome)
    return Built(
        {split: w.shard for split, w in writers.items() if w.shard is not None},
        tuple(miss for outcome in gave for miss in outcome.misses),
        sum(outcome.leftover_frames for outcome in gave),
        add_levels(outcome.levels for outcome in gave),
    )


def _written(
    path: Path, frames: int, layout: Layout
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What a task wrote: its frames, and the numbers beside them."""
    video = np.memmap(path, np.uint8, "r", shape=(frames, *layout.shape))
    numbers = {
        name: np.fromfile(beside(path, name), "<f4").reshape(frames, size)
        for name, size in layout.beside.items()
    }
    return video, numbers


def add_levels(
    each: Iterable[Mapping[str, tuple[int, ...]]],
) -> dict[str, tuple[int, ...]]:
    """The sum of histograms, split by split."""
    total: dict[str, np.ndarray] = {}
    for levels in each:
        for split, counts in levels.items():
            total[split] = total.get(split, np.zeros(256, np.int64)) + counts
    return {split: tuple(counts.tolist()) for split, counts in total.items()}
