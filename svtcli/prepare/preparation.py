"""One preparation at work: engines build the groups, then all is published at once."""

import errno
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from svtcli import __version__
from svtcli.clips.format import Shard
from svtcli.clips.manifest import Manifest, Split
from svtcli.failure import BadData, StorageFailed
from svtcli.prepare.build import add_levels, build_here
from svtcli.prepare.cluster import build_on_ray
from svtcli.prepare.find_clips import Prepared, prepared
from svtcli.prepare.journal import FAILURES, Built, Journal
from svtcli.prepare.plan import Group, Miss, Plan
from svtcli.prepare.progress import Tally, TooManyBroken
from svtcli.prepare.publish import count_reasons, publish, write_failures
from svtcli.prepare.sources.moving_mnist import lower_bound
from svtcli.recipe.data import SPLITS
from svtcli.run.fingerprint import fingerprint
from svtcli.run.job_array import ArrayTask
from svtcli.run.progress import Progress
from svtcli.run.signals import RESUME, StopSignals
from svtcli.video.versions import library_versions

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


@dataclass(frozen=True)
class How:
    """What changes the time that it takes and nothing else."""

    workers: int | None = None
    """Processes; None: one per CPU."""
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    """Of a Ray cluster; None starts Ray on this machine."""
    task: ArrayTask | None = None
    time_limit: float = 600.0
    """Seconds for one file."""
    max_failures: float = 0.05
    """Share of the sources that may be broken."""


def plan_fingerprint(plan: Plan) -> str:
    """Fingerprint of everything that decides the bytes."""
    return fingerprint(
        plan.spec, plan.inventory, plan.order, plan.layout, library_versions()
    )


@dataclass(frozen=True)
class Preparation:
    """One call at work on a plan."""

    plan: Plan
    journal: Journal
    how: How
    progress: Progress

    def build(self, groups: tuple[Group, ...], stop: StopSignals, who: str) -> None:
        """Build those of `groups` that the journal does not hold yet.

        `who` names the builder's temporary folder. Errors: `Stopped`, `StorageFailed`,
        `TooManyBroken`, those of the engine.
        """
        for note in self.plan.notes:
            self.progress.note(note)
        built = self.journal.read_all(groups)
        missing = tuple(group for group in groups if group.name not in built)
        if built:
            before = f"{len(built)} of {len(groups)} shards were finished before"
            self.progress.note(before)

        def saved() -> str:
            done = len(self.journal.read_all(groups))
            return f"{done} of {len(groups)} shards are finished and kept"

        def check() -> None:
            if stop.requested():
                raise stop.stopped(saved())

        tally = self._tally(groups, built)
        self.progress.begin("prepare", _units(groups), self.plan.unit)
        try:
            with (
                self._patient(tally),
                closing(self._engine(missing, who, tally, check)) as engine,
            ):
                for _ in engine:
                    pass
        except OSError as error:
            if error.errno not in DISK:
                raise
            raise StorageFailed(
                f"{self.journal.out}: {error.strerror}; {saved()}",
                f"make room, then {RESUME}",
            ) from error
        finally:
            self.progress.end()

    def _tally(self, groups: tuple[Group, ...], built: Mapping[str, Built]) -> Tally:
        """Counts from where an earlier run stopped."""
        plan = self.plan
        tally = Tally(self.progress, plan.units, plan.unit, self.how.max_failures)
        before = tuple(group for group in groups if group.name in built)
        tally.skip(_units(before), [m for b in built.values() for m in b.misses])
        return tally

    def _engine(
        self,
        groups: tuple[Group, ...],
        who: str,
        tally: Tally,
        check: Callable[[], None],
    ) -> Generator[tuple[Group, Built], None, None]:
        """The groups, each as it is finished; a cluster does not keep their order."""
        how, layout = self.how, self.plan.layout
        if how.engine == "local" or not groups:
            workers, limit = how.workers or cpus(), how.time_limit
            yield from build_here(
                groups, layout, self.journal, who, workers, limit, tally.task, check
            )
            return
        on_ray = build_on_ray(
            groups,
            layout,
            self.journal,
            how.address,
            how.workers,
            how.time_limit,
            check,
        )
        with closing(on_ray):
            for group, built in on_ray:
                frames = sum(shard.frames for shard in built.shards.values())
                tally.units(_units((group,)), frames, built.misses)
                yield group, built

    @contextmanager
    def _patient(self, tally: Tally) -> Iterator[None]:
        """Where too much is broken, leave the list of it."""
        try:
            yield
        except TooManyBroken as error:
            write_failures(self.journal.folder, tally.misses)
            error.hint = (
                f"see {self.journal.folder / FAILURES}; to take the others, re-run "
                "with a higher --max-failures (finished shards are kept)"
            )
            raise

    def publish(self, built: Mapping[str, Built]) -> Prepared:
        """Declare the dataset finished.

        Errors: `BadData` where there is no clip, `TooManyBroken`.
        """
        plan = self.plan
        in_order = {group.name: built[group.name] for group in plan.groups}
        misses = tuple(miss for each in in_order.values() for miss in each.misses)
        splits = _splits(plan, in_order, self.journal.folder)
        if not splits:
            shutil.rmtree(self.journal.folder)
            raise BadData(_no_clips(plan, misses))
        tally = self._tally(plan.groups, built)
        with self._patient(tally):
            tally.check()
        manifest = make_manifest(plan, in_order, misses, splits)
        publish(self.journal, manifest, misses, _report(plan, in_order, misses))
        return prepared(self.journal.out, manifest)


def _no_clips(plan: Plan, misses: tuple[Miss, ...]) -> str:
    reasons = ", ".join(f"{n} {reason}" for reason, n in count_reasons(misses).items())
    first = f"; the first: {misses[0].item}: {misses[0].detail}" if misses else ""
    return f"no clips: {plan.units} {plan.unit} gave none ({reasons}){first}"


def _splits(plan: Plan, built: Mapping[str, Built], work: Path) -> dict[str, Split]:
    """Every split that holds a clip; what drawn ones need is put into `work`."""
    splits = {}
    for name in SPLITS:
        shards = tuple(b.shards[name] for b in built.values() if name in b.shards)
        if name in plan.drawn:
            splits[name] = plan.drawn[name].keep(work)
        elif shards:
            splits[name] = _split(shards)
    return splits


def make_manifest(
    plan: Plan,
    built: Mapping[str, Built],
    misses: tuple[Miss, ...],
    splits: dict[str, Split],
) -> Manifest:
    """The manifest of everything that was built."""
    levels = add_levels(each.levels for each in built.values())
    return Manifest(
        spec=dict(plan.spec),
        inventory=plan.inventory,
        order=plan.order,
        shape=plan.layout.shape,
        beside=dict(plan.layout.beside),
        splits=splits,
        failures=count_reasons(misses),
        fingerprint=fingerprint(plan.spec, plan.layout, splits),
        lower_bound={
            split: lower_bound(counts, splits[split].clips * plan.predicted_frames)
            for split, counts in levels.items()
        },
        pixels=plan.pixels,
        notes=plan.notes,
        versions={"svt": __version__, **library_versions()},
    )


def _split(shards: tuple[Shard, ...]) -> Split:
    clips, frames = sum(s.clips for s in shards), sum(s.frames for s in shards)
    return Split(clips, frames, shards)


def _report(
    plan: Plan, built: Mapping[str, Built], misses: tuple[Miss, ...]
) -> dict[str, Any]:
    """For people: what `report.json` says beside the classes."""
    return {
        plan.unit: plan.units,
        "failures": count_reasons(misses),
        "leftover_frames": sum(each.leftover_frames for each in built.values()),
        "source": dict(plan.findings),
    }


def _units(groups: tuple[Group, ...]) -> int:
    return sum(task.units for group in groups for task in group.tasks)


def cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
