"""Raw data → clips: plan, decode in worker processes, assemble, publish."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from svtcli import __version__
from svtcli.data.build import (
    FAILURES,
    SHARD_FILE,
    WORK,
    Built,
    add_levels,
    build,
    publish,
    write_failures,
)
from svtcli.data.clips import open_clips
from svtcli.data.manifest import NAME as MANIFEST
from svtcli.data.manifest import Manifest, Split, read_manifest
from svtcli.data.plan import Miss, Plan
from svtcli.data.sources.bouncing import lower_bound
from svtcli.data.sources.folder import estimate, plan_folder
from svtcli.data.sources.moving_mnist import find_files, plan_moving_mnist
from svtcli.failure import BadData, CheckFailed, Refused
from svtcli.recipe.data import Data, FolderData
from svtcli.run.fingerprint import fingerprint
from svtcli.run.lock import only_writer
from svtcli.run.progress import Progress

MAX_FAILURES = 0.05
TIME_LIMIT = 600.0
LIBRARIES = ("av", "numpy")


@dataclass(frozen=True)
class Prepared:
    """A finished dataset."""

    folder: Path
    fingerprint: str
    clips: dict[str, int]
    """Clips of each split."""
    frames: dict[str, int]
    failures: dict[str, int]
    """What gave no clip, by reason."""
    lower_bound: dict[str, float]
    """Moving MNIST: nats per predicted frame of each split."""
    notes: tuple[str, ...] = ()
    existed: bool = False
    """Nothing had to be done."""


@dataclass(frozen=True)
class Preview:
    """What `prepare` would make; clips and bytes are estimates from headers."""

    folder: Path
    sources: int
    """Videos; 0 where clips are generated."""
    clips: int
    bytes: int
    finished: bool
    """These very clips are there already."""


def clips_folder(data: Data, name: str) -> Path:
    """Where the clips of a recipe are: as it states, else `clips/NAME`."""
    return Path(data.clips) if data.clips else Path("clips") / name


def prepare(
    data: Data,
    folder: Path,
    progress: Progress,
    workers: int | None = None,
    max_failures: float = MAX_FAILURES,
    force: bool = False,
    time_limit: float = TIME_LIMIT,
) -> Prepared:
    """Make the clips that `data` describes in `folder`, or find them there.

    `workers` processes (None: one per CPU) change the time it takes and nothing else;
    `time_limit` is seconds per video. An interrupted call goes on when it is repeated.
    Errors: `Refused` (no source; other clips are there), `Locked`, `CheckFailed` (more
    than the share `max_failures` of the sources is broken), `BadData` (no clips).
    """
    if not force and (finished := find_finished(data, folder)):
        progress.note(f"{folder}: these clips are prepared already")
        return finished
    plan = make_plan(data)
    _refuse_foreign(folder)
    with only_writer(folder):
        # Another process may have finished them while the plan was made.
        if not force and (finished := find_finished(data, folder)):
            return finished
        for note in plan.notes:
            progress.note(note)
        versions = {name: version(name) for name in LIBRARIES}
        many = workers or _cpus()
        built = build(plan, folder, versions, many, time_limit, progress)
        misses = tuple(miss for each in built for miss in each.misses)
        _check(plan, built, misses, folder, max_failures)
        manifest = make_manifest(plan, built, {"svt": __version__, **versions})
        publish(folder, manifest, misses)
    return _prepared(folder, manifest)


def make_plan(data: Data) -> Plan:
    """The plan for either kind of data."""
    if isinstance(data, FolderData):
        return plan_folder(data)
    return plan_moving_mnist(data)


def preview(data: Data, folder: Path) -> Preview:
    """What `prepare` would do. Errors: `Refused`, as `prepare` would say."""
    finished = find_finished(data, folder) is not None
    if isinstance(data, FolderData):
        videos, clips, size = estimate(data)
        return Preview(folder, videos, clips, size, finished)
    find_files(data.source)
    clips = data.train + data.val + data.test
    return Preview(folder, 0, clips, clips * data.frames * data.size**2, finished)


def find_finished(data: Data, folder: Path) -> Prepared | None:
    """The dataset in `folder` if it is the one `data` describes; None if there is none.

    Errors: `Refused` where it is another one. A source that is gone is no reason to
    refuse clips that were made from it.
    """
    if not (folder / MANIFEST).is_file():
        return None
    manifest = read_manifest(folder)
    unplaced = {"source": None, "clips": None}
    asked = {k: v for k, v in asdict(data).items() if k not in unplaced}
    if changed := _difference(manifest.spec, asked):
        raise Refused(
            f"{folder}: holds other clips ({changed})",
            "choose another place with --out, or replace them with --force",
        )
    try:
        inventory = make_plan(data).inventory
    except Refused:
        inventory = manifest.inventory
    if inventory != manifest.inventory:
        raise Refused(
            f"{folder}: the source has changed since these clips were made",
            "choose another place with --out, or replace them with --force",
        )
    for split in manifest.splits:
        open_clips(folder, split)
    return _prepared(folder, manifest, existed=True)


def _difference(there: Mapping[str, object], asked: Mapping[str, object]) -> str:
    """Which settings differ, in words; empty where none does."""
    return ", ".join(
        f"{key} is {there.get(key, 'not stated')} there, {asked.get(key)} asked"
        for key in (*asked, *(key for key in there if key not in asked))
        if there.get(key, ...) != asked.get(key, ...)
    )


def _refuse_foreign(folder: Path) -> None:
    """Do not spread into a folder that holds something else."""
    if folder.is_file():
        raise Refused(f"{folder}: is a file; clips need a folder")
    if not folder.is_dir() or (folder / MANIFEST).is_file():
        return
    ours = {WORK, FAILURES, ".lock"}
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in ours and not SHARD_FILE.fullmatch(path.name)
    )
    if others:
        raise Refused(
            f"{folder}: holds something else ({', '.join(others[:3])}"
            + (", …)" if len(others) > 3 else ")"),
            "choose another place with --out",
        )


def _check(
    plan: Plan,
    built: list[Built],
    misses: tuple[Miss, ...],
    folder: Path,
    max_failures: float,
) -> None:
    """Refuse to pass off a bad result as a dataset."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in _reasons(misses).items())
    if not any(each.shards for each in built):
        first = misses[0]
        _leave_nothing(folder)
        raise BadData(
            f"no clips: {plan.units} {plan.unit} gave none ({reasons}); the first: "
            f"{first.source}: {first.detail}"
        )
    broken = sum(miss.broken for miss in misses)
    if broken > max_failures * plan.units:
        write_failures(folder / WORK, misses)
        raise CheckFailed(
            f"{broken} of {plan.units} {plan.unit} are broken ({reasons}), more than "
            f"{max_failures:.3g} of them",
            f"see {folder / WORK / FAILURES}; to take the others, repeat with a higher "
            "--max-failures (what is done is kept)",
        )


def _leave_nothing(folder: Path) -> None:
    shutil.rmtree(folder / WORK, ignore_errors=True)
    if all(path.name == ".lock" for path in folder.iterdir()):
        (folder / ".lock").unlink(missing_ok=True)
        folder.rmdir()


def make_manifest(plan: Plan, built: list[Built], versions: dict[str, str]) -> Manifest:
    """The manifest of everything that was built."""
    splits = {}
    for split in ("train", "val", "test"):
        shards = tuple(each.shards[split] for each in built if split in each.shards)
        if shards:
            clips, frames = sum(s.clips for s in shards), sum(s.frames for s in shards)
            splits[split] = Split(clips, frames, shards)
    levels = add_levels(each.levels for each in built)
    return Manifest(
        spec=dict(plan.spec),
        inventory=plan.inventory,
        shape=plan.shape,
        splits=splits,
        failures=_reasons(miss for each in built for miss in each.misses),
        leftover_frames=sum(each.leftover_frames for each in built),
        fingerprint=fingerprint(plan.spec, plan.shape, splits),
        lower_bound={
            split: lower_bound(counts, splits[split].clips * plan.predicted_frames)
            for split, counts in levels.items()
        },
        notes=plan.notes,
        versions=versions,
    )


def _reasons(misses: Iterable[Miss]) -> dict[str, int]:
    """How many misses there are of each reason, the most frequent first."""
    return dict(Counter(miss.reason for miss in misses).most_common())


def _prepared(folder: Path, manifest: Manifest, existed: bool = False) -> Prepared:
    return Prepared(
        folder=folder,
        fingerprint=manifest.fingerprint,
        clips={name: split.clips for name, split in manifest.splits.items()},
        frames={name: split.frames for name, split in manifest.splits.items()},
        failures=manifest.failures,
        lower_bound=manifest.lower_bound,
        notes=manifest.notes,
        existed=existed,
    )


def _cpus() -> int:
    """CPUs that this process may use."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else (os.cpu_count() or 1)
    )
