"""Journal of a preparation: the finished shards of a dataset, in `OUT/.work`.

.work/plan                    fingerprint of what is being prepared
.work/<group>.done.json       a finished group; written after its shards are in place
.work/<split>-<label>.*       the files of finished shards
.work/building-*/             shards being written; never read again, however they ended
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from svtcli.clips.format import Shard
from svtcli.prepare.plan import Group, Miss
from svtcli.run.durable import write_atomic
from svtcli.run.partial import WorkFolder

WORK, FAILURES = ".work", "failures.jsonl"


@dataclass(frozen=True)
class Built:
    """What a finished group gave."""

    shards: dict[str, Shard]
    """By split."""
    misses: tuple[Miss, ...]
    leftover_frames: int
    levels: dict[str, tuple[int, ...]]


_built = TypeAdapter(Built)


def shard_files(shard: Shard) -> list[str]:
    """The names of a shard's files."""
    return [f"{shard.name}.{ending}" for ending in shard.files]


@dataclass(frozen=True)
class Journal(WorkFolder):
    """The work folder of the dataset `out`, which may hold other clips until then."""

    kind: ClassVar[str] = "clips"

    @property
    def folder(self) -> Path:
        """Inside of the dataset: shards are published by renaming their files."""
        return self.out / WORK

    @property
    def guard(self) -> Path:
        """The dataset itself."""
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

    def _clear(self, who: str) -> None:
        """Remove what builders named `who` left unfinished."""
        for left in self.folder.glob(f"building-{who}-*"):
            shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def building(self, who: str) -> Iterator[Path]:
        """Temporary folder of the builder `who`; what it left before is removed."""
        self._clear(who)
        place = self.folder / f"building-{who}-{uuid4().hex[:8]}"
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def finish(self, group: Group, built: Built, place: Path) -> None:
        """Take the shards over from `place`, then record the group as done."""
        for shard in built.shards.values():
            for name in shard_files(shard):
                (place / name).replace(self.folder / name)
        text = _built.dump_json(built).decode() + "\n"
        write_atomic(self._record(group), text)

    def read(self, group: Group) -> Built | None:
        """Return the record of a finished group, if all its files are still there."""
        try:
            built = _built.validate_json(self._record(group).read_bytes())
        except (OSError, ValidationError):
            return None
        # A stop while publishing has moved some files to their place already.
        files = [name for shard in built.shards.values() for name in shard_files(shard)]
        places = (self.folder, self.out)
        whole = all(any((at / name).is_file() for at in places) for name in files)
        return built if whole else None

    def read_all(self, groups: Iterable[Group]) -> dict[str, Built]:
        """Records of those of `groups` that are finished, by the group's name."""
        records = {group.name: self.read(group) for group in groups}
        return {name: built for name, built in records.items() if built is not None}

    def _record(self, group: Group) -> Path:
        return self.folder / f"{group.name}.done.json"
