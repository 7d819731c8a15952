"""Raw data → clips: whole, as one task of a job array, or only what failed before."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from svtcli.clips.manifest import Manifest, read_manifest
from svtcli.failure import Refused
from svtcli.prepare.find_clips import (
    Prepared,
    find_finished,
    prepared,
    refuse_foreign,
    refuse_other,
)
from svtcli.prepare.journal import Built, Journal
from svtcli.prepare.plan import Group, Miss, Plan
from svtcli.prepare.preparation import How, Preparation, plan_fingerprint
from svtcli.prepare.publish import read_failures
from svtcli.prepare.retry import group_shards, retry_groups
from svtcli.prepare.sources import make_plan
from svtcli.recipe.data import Data
from svtcli.run.fingerprint import fingerprint
from svtcli.run.partial import Unfinished
from svtcli.run.progress import Progress
from svtcli.run.signals import StopSignals

NOTHING: Mapping[str, Built] = {}


def prepare(
    data: Data,
    folder: Path,
    progress: Progress,
    how: How | None = None,
    force: bool = False,
) -> Prepared:
    """Prepare the clips that `data` describes in `folder`, or find them there.

    An interrupted call resumes when it is repeated. Errors: `Refused` (no source; other
    clips are there), `Locked`, `CheckFailed` (too much is broken), `BadData` (no
    clips), `Stopped`, `StorageFailed`.
    """
    if not force and (finished := _found(data, folder, progress)):
        return finished
    work = _new(data, folder, progress, how or How())
    found = (lambda: None) if force else partial(_found, data, folder, progress)
    return work.journal.complete(None, found, *_steps(work, work.plan.groups))


def prepare_task(
    data: Data, folder: Path, progress: Progress, how: How
) -> Prepared | Unfinished:
    """Prepare the shards of one task of a job array; the last task publishes them all.

    Errors: those of `prepare`; `Refused` while other clips are prepared there.
    """
    if finished := _found(data, folder, progress):
        return finished
    work = _new(data, folder, progress, how)
    found, groups = partial(_found, data, folder, progress), work.plan.groups
    done = work.journal.complete(how.task, found, *_steps(work, groups))
    return done or Unfinished(folder, len(work.journal.read_all(groups)), len(groups))


def retry(
    data: Data, folder: Path, progress: Progress, how: How | None = None
) -> Prepared:
    """Try again what is broken in a finished dataset; whole videos are not decoded.

    Errors: those of `prepare`; `Refused` where other clips are there, or the source has
    more or fewer files than it had.
    """
    plan, manifest = make_plan(data), read_manifest(folder)
    refuse_other(data, folder, manifest)
    if plan.order != manifest.order:
        raise Refused(
            f"{folder}: the source has other files than when these clips were made",
            "prepare them anew, in another place or with --force",
        )
    misses = read_failures(folder)
    groups = retry_groups(plan, folder, manifest, misses)
    if not groups:
        progress.note(f"{folder}: nothing is broken, nothing to try again")
        return prepared(folder, manifest, existed=True)
    identity = fingerprint(plan_fingerprint(plan), manifest.fingerprint, "retry")
    work = Preparation(plan, Journal(folder, identity), how or How(), progress)
    kept = _kept(plan, groups, manifest, misses)
    return work.journal.complete(None, lambda: None, *_steps(work, groups, kept))


def _found(data: Data, folder: Path, progress: Progress) -> Prepared | None:
    """Return the finished dataset, if it is there."""
    if finished := find_finished(data, folder):
        progress.note(f"{folder}: these clips are prepared already")
    return finished


def _new(data: Data, folder: Path, progress: Progress, how: How) -> Preparation:
    plan = make_plan(data)
    refuse_foreign(folder)
    return Preparation(plan, Journal(folder, plan_fingerprint(plan)), how, progress)


def _steps(
    work: Preparation, groups: tuple[Group, ...], kept: Mapping[str, Built] = NOTHING
) -> tuple[Callable[[StopSignals], None], Callable[[], Prepared | None]]:
    """Functions that build `groups`, and publish them with those that are `kept`."""
    task = work.how.task
    own = groups if task is None else groups[task.index :: task.count]
    who = "all" if task is None else f"task-{task}"

    def publish() -> Prepared | None:
        built = work.journal.read_all(groups)
        return work.publish({**kept, **built}) if len(built) == len(groups) else None

    return lambda stop: work.build(own, stop, who), publish


def _kept(
    plan: Plan, again: tuple[Group, ...], manifest: Manifest, misses: list[Miss]
) -> dict[str, Built]:
    """What stays of a finished dataset while the groups of `again` are rebuilt."""
    names = {group.name for group in again}
    of_source: dict[str, list[Miss]] = {}
    for miss in misses:
        of_source.setdefault(miss.source, []).append(miss)
    return {
        group.name: Built(
            dict(group_shards(group, manifest)),
            tuple(m for task in group.tasks for m in of_source.get(task.source, ())),
            0,
            {},
        )
        for group in plan.groups
        if group.name not in names
    }
