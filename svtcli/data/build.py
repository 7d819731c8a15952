"""Assembles shards from what the workers write, and publishes a finished dataset.

Everything grows in `OUT/.work`. A finished group of tasks is recorded there, so that
the same command goes on where it was stopped; the manifest comes last of all.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from svtcli.data.durable import sync_folder
from svtcli.data.manifest import NAME as MANIFEST
from svtcli.data.manifest import Manifest, Shard, write_manifest
from svtcli.data.plan import Group, Miss, Outcome, Plan, Task
from svtcli.data.shards import ShardWriter
from svtcli.data.workers import outcomes
from svtcli.run.fingerprint import fingerprint
from svtcli.run.progress import Progress
from svtcli.run.whole_file import write_whole

WORK = ".work"
FAILURES = "failures.jsonl"
SHARD_FILE = re.compile(
    r"[\w-]+-\d{5}-of-\d{5}\.(frames\.npy|offsets\.npy|actions\.npy|meta\.jsonl)"
)


@dataclass(frozen=True)
class Built:
    """A finished group; its record is `.work/<group>.done.json`."""

    shards: dict[str, Shard]
    """By split."""
    misses: tuple[Miss, ...]
    leftover_frames: int
    levels: dict[str, tuple[int, ...]]


_built = TypeAdapter(Built)


def build(
    plan: Plan,
    out: Path,
    versions: Mapping[str, str],
    workers: int,
    time_limit: float,
    progress: Progress,
) -> list[Built]:
    """Do every group of the plan that is not done; what all of them gave, in order.

    `out` must be locked by the caller.
    """
    work = _work_folder(plan, out, versions)
    done = {group.name: _read_built(group, work, out) for group in plan.groups}
    missing = [group for group in plan.groups if done[group.name] is None]
    if kept := len(plan.groups) - len(missing):
        progress.note(f"{kept} of {len(plan.groups)} shards were finished before")
    tasks = [task for group in missing for task in group.tasks]
    tally = Tally(progress, plan.units - sum(task.units for task in tasks))
    progress.begin("prepare", plan.units, plan.unit)
    results = outcomes(tasks, work, workers, time_limit)
    try:
        for group in missing:
            built = _build_group(group, plan.shape, work, results, tally)
            text = _built.dump_json(built).decode() + "\n"
            write_whole(work / f"{group.name}.done.json", text)
            done[group.name] = built
    finally:
        # Ends the worker processes now, not when the generator is collected.
        results.close()
        progress.end()
    return [built for built in done.values() if built is not None]


class Tally:
    """Tells the progress how far it is."""

    def __init__(self, progress: Progress, done: int) -> None:
        self._progress, self._done, self._misses = progress, done, 0

    def add(self, task: Task, outcome: Outcome) -> None:
        """One task more; a broken source is named at once."""
        self._done += task.units
        for miss in outcome.misses:
            if miss.broken:
                self._misses += 1
                self._progress.note(f"{miss.source}: {miss.reason}: {miss.detail}")
        facts = {"failed": str(self._misses)} if self._misses else None
        self._progress.advance(self._done, facts)


def _work_folder(plan: Plan, out: Path, versions: Mapping[str, str]) -> Path:
    """`out/.work`, emptied of everything but finished groups of this very plan."""
    work = out / WORK
    identity = fingerprint(plan.spec, plan.inventory, plan.shape, dict(versions))
    record = work / "plan"
    if not record.is_file() or record.read_text(encoding="utf-8") != identity:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        write_whole(record, identity)
    for left in (*work.glob("*.tmp"), *work.glob("*.frames")):
        left.unlink()
    return work


def _read_built(group: Group, work: Path, out: Path) -> Built | None:
    """What an earlier run recorded, if all its files are still there."""
    record = work / f"{group.name}.done.json"
    try:
        built = _built.validate_json(record.read_bytes())
    except (OSError, ValidationError):
        return None
    # A stop while publishing has moved some files to their place already.
    files = [name for shard in built.shards.values() for name in shard_files(shard)]
    whole = all((work / name).is_file() or (out / name).is_file() for name in files)
    return built if whole else None


def shard_files(shard: Shard) -> list[str]:
    """The names of a shard's files."""
    return [f"{shard.name}.{ending}" for ending in shard.files]


def _build_group(
    group: Group,
    shape: tuple[int, int, int],
    work: Path,
    results: Iterator[tuple[Task, Outcome, Path]],
    tally: Tally,
) -> Built:
    """Write the shards of one group from the next results."""
    writers: dict[str, ShardWriter] = {}
    gave: list[Outcome] = []
    with ExitStack() as stack:
        for _ in group.tasks:
            task, outcome, path = next(results)
            if outcome.cuts:
                frames = np.memmap(path, np.uint8, "r", shape=(outcome.frames, *shape))
                for cut in outcome.cuts:
                    if cut.split not in writers:
                        writer = ShardWriter(work, f"{cut.split}-{group.label}", shape)
                        writers[cut.split] = stack.enter_context(writer)
                    video = frames[cut.first : cut.first + cut.frames]
                    writers[cut.split].add(cut.facts, video)
            gave.append(outcome)
            tally.add(task, outcome)
    return Built(
        {split: w.shard for split, w in writers.items() if w.shard is not None},
        tuple(miss for outcome in gave for miss in outcome.misses),
        sum(outcome.leftover_frames for outcome in gave),
        add_levels(outcome.levels for outcome in gave),
    )


def add_levels(
    each: Iterator[Mapping[str, tuple[int, ...]]],
) -> dict[str, tuple[int, ...]]:
    """The sum of histograms, split by split."""
    total: dict[str, np.ndarray] = {}
    for levels in each:
        for split, counts in levels.items():
            total[split] = total.get(split, np.zeros(256, np.int64)) + counts
    return {split: tuple(counts.tolist()) for split, counts in total.items()}


def publish(out: Path, manifest: Manifest, misses: tuple[Miss, ...]) -> None:
    """Move the shards to their place and declare them finished.

    A dataset that was there before stops being one first, so that no manifest ever
    stands over files that are not its own. Files that svt did not make stay.
    """
    (out / MANIFEST).unlink(missing_ok=True)
    sync_folder(out)
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    ours = {name for shard in shards for name in shard_files(shard)}
    waiting = [name for name in ours if (out / WORK / name).is_file()]
    for file in list(out.iterdir()):
        replaced = file.name in waiting or file.name not in ours
        if SHARD_FILE.fullmatch(file.name) and replaced:
            file.unlink()
    for name in waiting:
        (out / WORK / name).replace(out / name)
    write_failures(out, misses)
    write_manifest(out, manifest)
    shutil.rmtree(out / WORK)


def write_failures(folder: Path, misses: tuple[Miss, ...]) -> None:
    """`failures.jsonl`: one line for everything that gave no clip; no file if none."""
    (folder / FAILURES).unlink(missing_ok=True)
    if misses:
        lines = [json.dumps(asdict(miss), ensure_ascii=False) for miss in misses]
        write_whole(folder / FAILURES, "\n".join(lines) + "\n")
