"""Journal of a preparation: the finished shards of a dataset, in `OUT/.work`.

.work/plan                    fingerprint of the clips that are prepared
.work/<group>.done.json       a finished group; written after its shards are in place
.work/<split>-<label>.*       files of finished shards
.work/building-*/             shards being written; never read again
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from svtcli.clips.format import (
    MANIFEST,
    Manifest,
    Shard,
    read_facts,
    remedy,
    write_manifest,
)
from svtcli.failure import BadData
from svtcli.prepare.plan import Failed, Group, listed_reasons
from svtcli.run.durable import (
    check_file,
    crc32c,
    read_record,
    sync_path,
    write_atomic,
    write_record,
)
from svtcli.run.partial import WorkFolder

WORK, FAILURES, REPORT = ".work", "failures.jsonl", "report.json"
SHARD_FILE = re.compile(
    r"[\w-]+-\d{5}-of-\d{5}\.((frames|offsets|actions|states)\.npy|meta\.jsonl)"
    r"|train\.digits\.npy"
)


@dataclass(frozen=True)
class Built:
    """Result of a finished group."""

    shards: dict[str, Shard]
    """Shard of each split."""
    failures: tuple[Failed, ...]
    leftover_frames: int
    levels: dict[str, tuple[int, ...]]


_built, _failure = TypeAdapter(Built), TypeAdapter(Failed)


@dataclass(frozen=True)
class Journal(WorkFolder):
    """Work folder of the dataset `out`, which may hold other clips until it is done."""

    kind: ClassVar[str] = "clips"

    @property
    def folder(self) -> Path:
        """Folder inside of the dataset: shards are published by renaming files."""
        return self.out / WORK

    @property
    def guard(self) -> Path:
        """Folder of the dataset itself."""
        return self.out

    def begin(self) -> None:
        """Remove all but finished groups of this plan; nobody else is at work."""
        record = self.folder / "plan"
        if not record.is_file() or record.read_text(encoding="utf-8") != self.plan:
            shutil.rmtree(self.folder, ignore_errors=True)
            write_atomic(record, self.plan)
        self._clear("*")

    def is_worth_keeping(self) -> bool:
        """Return True if a group is finished, or a list of failures is to be read."""
        records = any(self.folder.glob("*.done.json"))
        return records or (self.folder / FAILURES).is_file()

    def _clear(self, builder: str) -> None:
        """Remove the unfinished shards of a builder."""
        for left in self.folder.glob(f"building-{builder}-*"):
            shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def building(self, builder: str) -> Iterator[Path]:
        """Provide a temporary folder for `builder`, and remove its earlier ones."""
        self._clear(builder)
        place = self.folder / f"building-{builder}-{uuid4().hex[:8]}"
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def finish(self, group: Group, built: Built, place: Path) -> None:
        """Move the shards out of `place`, then record the group as finished."""
        for shard in built.shards.values():
            for name in shard.file_names:
                (place / name).replace(self.folder / name)
        write_record(self._record(group), _built.dump_python(built, mode="json"))

    def read(self, group: Group) -> Built | None:
        """Return the record of a finished group, if it and all its files are there."""
        try:
            built = _built.validate_python(read_record(self._record(group), ""))
        except (OSError, BadData, ValidationError):
            return None
        # A stop while publishing has moved some files to their place already.
        names = [name for shard in built.shards.values() for name in shard.file_names]
        places = (self.folder, self.out)
        complete = all(any((at / name).is_file() for at in places) for name in names)
        return built if complete else None

    def read_all(self, groups: Iterable[Group]) -> dict[str, Built]:
        """Return the records of finished groups, by the group's name."""
        records = {group.name: self.read(group) for group in groups}
        return {name: built for name, built in records.items() if built is not None}

    def _record(self, group: Group) -> Path:
        return self.folder / f"{group.name}.done.json"

    def publish(
        self,
        manifest: Manifest,
        failures: tuple[Failed, ...],
        report: Mapping[str, Any],
    ) -> None:
        """Move the shards into the dataset, and write its manifest last.

        The manifest of an earlier dataset is removed first: none ever stands over
        files of another dataset. Files that svt did not write stay.
        """
        out, folder = self.out, self.folder
        (out / MANIFEST).unlink(missing_ok=True)
        sync_path(out)
        ours = {name for split in manifest.splits.values() for name in split.files}
        waiting = [name for name in ours if (folder / name).is_file()]
        for file in list(out.iterdir()):
            replaced = file.name in waiting or file.name not in ours
            if SHARD_FILE.fullmatch(file.name) and replaced:
                file.unlink()
        for name in waiting:
            (folder / name).replace(out / name)
        write_failures(out, failures)
        full = {**report, "classes": count_classes(out, manifest)}
        text = json.dumps(full, indent=1, ensure_ascii=False)
        write_atomic(out / REPORT, text + "\n")
        there = [FAILURES] if failures else []
        files = {name: crc32c(out / name) for name in there}
        write_manifest(out, replace(manifest, files=files))
        shutil.rmtree(folder)


def listed_units(failures: Iterable[Failed]) -> str:
    """List the units that gave no clips by reason: `3 damaged, 1 too short`.

    A video that is too short for several splits counts once.
    """
    lost = Counter[str]()
    for failure in {failure.item: failure for failure in failures}.values():
        lost[failure.reason] += failure.lost
    return listed_reasons(dict(lost.most_common()))


def count_classes(out: Path, manifest: Manifest) -> dict[str, dict[str, int]]:
    """Count the clips of each label in each split; splits without labels are absent."""
    classes = {}
    for name, split in manifest.splits.items():
        labels = Counter(
            facts.label
            for shard in split.shards
            for facts in read_facts(out, shard)
            if facts.label is not None
        )
        if labels:
            classes[name] = dict(sorted(labels.items()))
    return classes


def write_failures(folder: Path, failures: Iterable[Failed]) -> None:
    """Write `failures.jsonl`, a line for each failure; no file if there is none."""
    (folder / FAILURES).unlink(missing_ok=True)
    lines = []
    for failure in failures:
        known = {
            key: value for key, value in asdict(failure).items() if value is not None
        }
        lines.append(json.dumps(known, ensure_ascii=False) + "\n")
    if lines:
        write_atomic(folder / FAILURES, "".join(lines))


def read_failures(folder: Path, manifest: Manifest) -> list[Failed]:
    """Read `failures.jsonl`; no failures, no file. Errors: `BadData`."""
    path = folder / FAILURES
    if checksum := manifest.files.get(FAILURES):
        check_file(path, checksum, remedy(folder))
    elif not manifest.failures:
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [_failure.validate_json(line) for line in lines]
    except (OSError, ValidationError) as error:
        raise BadData(f"{path}: cannot be read", remedy(folder)) from error
