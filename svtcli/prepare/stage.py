"""Raw data → clips: whole, as one task of a job array, or only what failed before."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from svtcli.clips.manifest import Manifest, read_manifest
from svtcli.failure import Locked, Refused
from svtcli.prepare.find_clips import (
    Prepared,
    find_finished,
    prepared,
    refuse_foreign,
    refuse_other,
)
from svtcli.prepare.journal import WORK, Built, Journal
from svtcli.prepare.plan import Group, Miss, Plan
from svtcli.prepare.preparation import How, Preparation
from svtcli.prepare.publish import read_failures
from svtcli.prepare.retry import group_shards, retry_groups
from svtcli.prepare.sources import make_plan
from svtcli.recipe.data import Data
from svtcli.run.fingerprint import fingerprint
from svtcli.run.job_array import PATIENCE
from svtcli.run.lock import is_held, only_writer
from svtcli.run.progress import Progress


@dataclass(frozen=True)
class Unfinished:
    """A job array's dataset to which other tasks still owe shards."""

    folder: Path
    shards: int
    """How many are finished."""
    of: int


def prepare(
    data: Data,
    folder: Path,
    progress: Progress,
    how: How | None = None,
    force: bool = False,
) -> Prepared:
    """Make the clips that `data` describes in `folder`, or find them there.

    An interrupted call goes on when it is repeated. Errors: `Refused` (no source; other
    clips are there), `Locked`, `CheckFailed` (too much is broken), `BadData` (no
    clips), `Stopped`, `StorageFailed`.
    """
    if not force and (finished := find_finished(data, folder)):
        progress.note(f"{folder}: these clips are prepared already")
        return finished
    plan = make_plan(data)
    refuse_foreign(folder)
    with only_writer(folder):
        _refuse_tasks(folder)
        # Another process may have finished them while the plan was made.
        if not force and (finished := find_finished(data, folder)):
            return finished
        work = Preparation(plan, Journal(folder), how or How(), progress)
        work.journal.begin(work.identity)
        return work.publish(work.build(plan.groups))


def prepare_part(
    data: Data, folder: Path, progress: Progress, how: How
) -> Prepared | Unfinished:
    """Make the shards of one task of a job array; the last task publishes them all.

    Errors: those of `prepare`; `Refused` where another plan is being made.
    """
    assert how.part is not None
    part, plan = how.part, make_plan(data)
    work = Preparation(plan, Journal(folder), how, progress)
    name = f"task-{part.index}-of-{part.count}"
    with ExitStack() as own:
        with only_writer(folder, PATIENCE):
            if finished := find_finished(data, folder):
                progress.note(f"{folder}: these clips are prepared already")
                return finished
            refuse_foreign(folder)
            if not _tasks_at_work(folder):
                work.journal.begin(work.identity)
            elif not work.journal.is_of(work.identity):
                raise Refused(f"{folder}: another plan is being made here")
            own.enter_context(only_writer(folder / WORK / name))
            work.journal.clear(name)
        work.build(plan.groups[part.index :: part.count], name)
        with only_writer(folder, PATIENCE):
            if finished := find_finished(data, folder):
                return finished
            done = {group.name: work.journal.read(group) for group in plan.groups}
            built = {name: each for name, each in done.items() if each is not None}
            if len(built) < len(plan.groups):
                return Unfinished(folder, len(built), len(plan.groups))
            return work.publish(built)


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
    with only_writer(folder):
        _refuse_tasks(folder)
        misses = read_failures(folder)
        groups = retry_groups(plan, folder, manifest, misses)
        if not groups:
            progress.note(f"{folder}: nothing is broken, nothing to try again")
            return prepared(folder, manifest, existed=True)
        work = Preparation(plan, Journal(folder), how or How(), progress)
        work.journal.begin(fingerprint(work.identity, manifest.fingerprint, "retry"))
        kept = _kept(plan, groups, manifest, misses)
        return work.publish(kept | work.build(groups))


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


def _refuse_tasks(folder: Path) -> None:
    """Errors: `Locked` while tasks of a job array are at work here."""
    if tasks := _tasks_at_work(folder):
        raise Locked(
            f"{folder}: in use by {len(tasks)} of a job array", "wait for them"
        )


def _tasks_at_work(folder: Path) -> list[Path]:
    return [place for place in folder.glob(f"{WORK}/task-*") if is_held(place)]
