"""Prepare clips of raw data, at once or as a job array; preview; retry failures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import numpy as np

from svtcli.clips.format import read_manifest
from svtcli.failure import Refused
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.find_clips import (
    Prepared,
    find_finished,
    prepared,
    refuse_foreign,
    refuse_other,
)
from svtcli.prepare.journal import Built, Journal, read_failures
from svtcli.prepare.plan import Group, Plan, Task, listed_failures
from svtcli.prepare.preparation import Preparation
from svtcli.prepare.retry import kept_groups, retry_groups
from svtcli.prepare.sources import make_plan
from svtcli.prepare.workers import outcomes
from svtcli.recipe.data import Data
from svtcli.run.durable import fingerprint
from svtcli.run.partial import Steps, Unfinished
from svtcli.run.progress import Progress
from svtcli.run.signals import StopSignals

NOTHING: Mapping[str, Built] = {}
PREVIEW_HEADERS = 64
"""Files whose headers a preview reads."""
PREVIEW_FILES, PREVIEW_SECONDS = 6, 5.0
"""Files that a preview prepares to measure the speed, and its time for them."""


def prepare(
    data: Data,
    folder: Path,
    progress: Progress,
    options: PrepareOptions | None = None,
    force: bool = False,
) -> Prepared:
    """Prepare the clips that `data` describes in `folder`, or find them there.

    An interrupted call resumes when it is repeated. Errors: `Refused` (no source; other
    clips are there), `Locked`, `CheckFailed` (too many failures), `BadData` (no
    clips), `Stopped`, `StorageFailed`.
    """
    if not force and (finished := _found(data, folder, progress)):
        return finished
    work = _new(data, folder, progress, options or PrepareOptions())
    found = (lambda: None) if force else partial(_found, data, folder, progress)
    return work.journal.complete(_steps(work, found, work.plan.groups))


def prepare_task(
    data: Data, folder: Path, progress: Progress, options: PrepareOptions
) -> Prepared | Unfinished:
    """Prepare the shards of one task of a job array; the last task publishes them all.

    Errors: those of `prepare`; `Refused` while other clips are prepared there.
    """
    task = options.task
    assert task is not None
    if finished := _found(data, folder, progress):
        return finished
    work = _new(data, folder, progress, options)
    found, groups = partial(_found, data, folder, progress), work.plan.groups
    done = work.journal.complete_task(task, _steps(work, found, groups))
    return done or Unfinished(folder, len(work.journal.read_all(groups)), len(groups))


def retry(
    data: Data, folder: Path, progress: Progress, options: PrepareOptions | None = None
) -> Prepared:
    """Retry the failures of a finished dataset; other videos are not decoded again.

    Errors: those of `prepare`; `Refused` where other clips are there, or the source has
    more or fewer files than it had.
    """
    plan, manifest = make_plan(data), read_manifest(folder)
    refuse_other(data, folder, manifest)
    if plan.order != manifest.order:
        raise Refused(
            f"{folder}: the source has other files than when these clips were "
            "prepared, or an older svt prepared them in larger shards",
            "prepare them again, in another place or with --force",
        )
    failures = read_failures(folder, manifest)
    groups = retry_groups(plan, folder, manifest, failures)
    if not groups:
        progress.note(f"{folder}: no failures, nothing to retry")
        return prepared(folder, manifest, existed=True)
    identity = fingerprint(plan.fingerprint, manifest.fingerprint, "retry")
    journal = Journal(folder, identity)
    options = options or PrepareOptions()
    work = Preparation(plan, data.max_failures, journal, options, progress)
    kept = kept_groups(plan, groups, manifest, failures)
    return journal.complete(_steps(work, lambda: None, groups, kept))


def _found(data: Data, folder: Path, progress: Progress) -> Prepared | None:
    """Return the finished dataset, if it is there."""
    if finished := find_finished(data, folder):
        progress.note(f"{folder}: these clips are already prepared")
    return finished


def _new(
    data: Data, folder: Path, progress: Progress, options: PrepareOptions
) -> Preparation:
    plan = make_plan(data)
    refuse_foreign(folder)
    journal = Journal(folder, plan.fingerprint)
    return Preparation(plan, data.max_failures, journal, options, progress)


def _steps(
    work: Preparation,
    found: Callable[[], Prepared | None],
    groups: tuple[Group, ...],
    kept: Mapping[str, Built] = NOTHING,
) -> Steps[Prepared]:
    """Functions that build `groups`, and publish them with those that are `kept`."""
    task = work.options.task
    own = groups if task is None else groups[task.index :: task.count]
    builder = "all" if task is None else f"task-{task}"

    def publish() -> Prepared | None:
        built = work.journal.read_all(groups)
        return work.publish({**kept, **built}) if len(built) == len(groups) else None

    return Steps(found, lambda stop: work.build(own, stop, builder), publish)


@dataclass(frozen=True)
class Preview:
    """Result of a dry run; clips, bytes and seconds are estimates."""

    folder: Path
    sources: int
    """Videos; 0 where clips are generated."""
    clips: int
    bytes: int
    seconds: float | None
    """Time with all workers; None where no file could be tried."""
    workers: int
    finished: bool
    """True where these clips are there already."""
    notes: tuple[str, ...]


def preview(data: Data, folder: Path, options: PrepareOptions | None = None) -> Preview:
    """Estimate clips, bytes and time from some files. Errors: those of `prepare`."""
    finished = find_finished(data, folder) is not None
    plan = make_plan(data)
    tasks = [task for group in plan.groups for task in group.tasks]
    clips, frames = _estimate(plan, _spread(tasks, PREVIEW_HEADERS))
    height, width, channels = plan.layout.shape
    row = height * width * channels + 4 * sum(plan.layout.beside.values())
    workers = (options or PrepareOptions()).processes
    speed = None if finished else _seconds_per_unit(_spread(tasks, PREVIEW_FILES))
    return Preview(
        folder=folder,
        sources=plan.units if plan.unit == "videos" else 0,
        clips=clips,
        bytes=frames * row,
        seconds=None if speed is None else speed * plan.units / workers,
        workers=workers,
        finished=finished,
        notes=(*plan.notes, *listed_failures(plan.unusable)),
    )


def _spread(tasks: list[Task], most: int) -> list[Task]:
    """Choose up to `most` tasks, evenly spread."""
    places = np.linspace(0, len(tasks) - 1, min(most, len(tasks)))
    return [tasks[round(place)] for place in places]


def _estimate(plan: Plan, tasks: list[Task]) -> tuple[int, int]:
    """Clips and stored frames of the whole plan, if all files are like these."""
    units = sum(task.units for task in tasks)
    promises = [task.promise() for task in tasks]
    scale = plan.units / units if units else 0.0
    clips = round(scale * sum(promise.clips for promise in promises))
    clips += sum(generated.clips for generated in plan.drawn.values())
    return clips, round(scale * sum(promise.frames for promise in promises))


def _seconds_per_unit(tasks: list[Task]) -> float | None:
    """Measure one worker. The first task pays for its start and is not counted."""
    units, begun, last = 0, None, 0.0
    with StopSignals() as stop, TemporaryDirectory(prefix="svt-preview-") as aside:
        place, check = Path(aside), partial(stop.check, "nothing was written")
        results = outcomes(tasks, place, 1, PREVIEW_SECONDS, check)
        try:
            for number, (task, outcome, _) in enumerate(results):
                last = monotonic()
                if begun is None and (len(tasks) > 1 or number):
                    begun = last
                    continue
                units += 0 if outcome.failures else task.units
                if begun is not None and last - begun > PREVIEW_SECONDS:
                    break
        finally:
            results.close()
    return (last - begun) / units if begun is not None and units else None
