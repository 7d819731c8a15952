"""Preparation of one plan: build its groups, then publish the dataset at once."""

import shutil
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from svtcli import __version__
from svtcli.clips.format import Manifest, Split
from svtcli.failure import BadData, StorageFailed, in_words
from svtcli.prepare.build import (
    BuildProgress,
    PrepareOptions,
    TooManyFailures,
    add_levels,
    build_here,
)
from svtcli.prepare.cluster import build_on_ray
from svtcli.prepare.find_clips import Prepared, prepared
from svtcli.prepare.journal import (
    FAILURES,
    Built,
    Journal,
    listed_units,
    write_failures,
)
from svtcli.prepare.plan import Failed, Group, Plan, units_of
from svtcli.prepare.sources.moving_mnist import lower_bound
from svtcli.recipe.data import SPLITS
from svtcli.run.durable import STORAGE, fingerprint, room_at
from svtcli.run.progress import Progress
from svtcli.run.signals import RESUME, StopSignals
from svtcli.video import library_versions


@dataclass(frozen=True)
class Preparation:
    """A plan, and the folder and the options of one call."""

    plan: Plan
    max_failures: float
    """Largest share of the plan's units that may fail."""
    journal: Journal
    options: PrepareOptions
    progress: Progress

    def build(self, groups: tuple[Group, ...], stop: StopSignals, builder: str) -> None:
        """Build those of `groups` that the journal does not hold yet.

        `builder` names a temporary folder. Errors: `Stopped`, `StorageFailed`,
        `TooManyFailures`, those of the engine.
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

        self.progress.begin("prepare", units_of(groups), self.plan.unit)
        try:
            with (
                self._counting(groups, built) as count,
                closing(self._engine(missing, builder, count, check)) as engine,
            ):
                for _ in engine:
                    pass
        except OSError as error:
            if error.errno not in STORAGE:
                raise
            out = self.journal.out
            raise StorageFailed(
                f"{out}: {in_words(error)}{room_at(out, error)}; {saved()}",
                f"make room, then {RESUME}",
            ) from error
        finally:
            self.progress.end()

    def _engine(
        self,
        groups: tuple[Group, ...],
        builder: str,
        count: BuildProgress,
        check: Callable[[], None],
    ) -> Generator[tuple[Group, Built], None, None]:
        """Yield each group when it is finished; a cluster does not keep their order."""
        work = (groups, self.plan.layout, self.journal, self.options)
        if self.options.engine == "local" or not groups:
            yield from build_here(*work, builder, count.add, check)
            return
        with closing(build_on_ray(*work, check)) as engine:
            for group, built in engine:
                frames = sum(shard.frames for shard in built.shards.values())
                count.add(units_of([group]), frames, built.failures)
                yield group, built

    @contextmanager
    def _counting(
        self, groups: tuple[Group, ...], built: Mapping[str, Built]
    ) -> Iterator[BuildProgress]:
        """Count from where an earlier run stopped; list failures if too many."""
        count = BuildProgress(self.progress, self.plan, self.max_failures)
        count.resume(groups, built)
        try:
            yield count
        except TooManyFailures as error:
            write_failures(self.journal.folder, count.failures)
            error.hint = (
                f"see {self.journal.folder / FAILURES}; to take the others, re-run "
                "with a higher --max-failures, data.max_failures in a recipe "
                "(finished shards are kept)"
            )
            raise

    def publish(self, built: Mapping[str, Built]) -> Prepared:
        """Declare the dataset complete.

        Errors: `BadData` where there is no clip, `TooManyFailures`.
        """
        plan = self.plan
        in_order = [built[group.name] for group in plan.groups]
        failures = tuple(failure for each in in_order for failure in each.failures)
        splits = _splits(plan, in_order, self.journal.folder)
        if not splits:
            shutil.rmtree(self.journal.folder)
            raise BadData(_no_clips(plan, failures))
        with self._counting(plan.groups, built) as count:
            count.check()
        levels = add_levels(each.levels for each in in_order)
        manifest = Manifest(
            spec=dict(plan.spec),
            inventory=plan.inventory,
            order=plan.order,
            shape=plan.layout.shape,
            beside=dict(plan.layout.beside),
            splits=splits,
            failures=dict(Counter(each.reason for each in failures).most_common()),
            fingerprint=fingerprint(plan.spec, plan.layout, splits),
            lower_bound={
                split: lower_bound(counts, splits[split].clips * plan.predicted_frames)
                for split, counts in levels.items()
            },
            pixels=plan.pixels,
            notes=plan.notes,
            versions={"svt": __version__, **library_versions()},
        )
        report = {
            plan.unit: plan.units,
            "failures": manifest.failures,
            "leftover_frames": sum(each.leftover_frames for each in in_order),
            "source": dict(plan.findings),
        }
        self.journal.publish(manifest, failures, report)
        return prepared(self.journal.out, manifest)


def _no_clips(plan: Plan, failures: tuple[Failed, ...]) -> str:
    first = f"; the first: {failures[0].item}: {failures[0].detail}" if failures else ""
    reasons = listed_units(failures)
    return f"no clips: {plan.total()} gave none ({reasons}){first}"


def _splits(plan: Plan, built: list[Built], folder: Path) -> dict[str, Split]:
    """Describe every split that has clips; digits of generated ones go to `folder`."""
    splits = {}
    for name in SPLITS:
        shards = tuple(each.shards[name] for each in built if name in each.shards)
        if name in plan.drawn:
            splits[name] = plan.drawn[name].keep(folder)
        elif shards:
            clips = sum(shard.clips for shard in shards)
            frames = sum(shard.frames for shard in shards)
            splits[name] = Split(clips, frames, shards)
    return splits
