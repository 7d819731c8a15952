"""What is finished of a dataset that grows: `OUT/.work`.

.work/plan                    fingerprint of what is being made
.work/<group>.done.json       a finished group; written after its shards are in place
.work/<split>-<label>.*       the files of finished shards
.work/building-*/             shards at work; never read again, however they ended
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from svtcli.clips.format import Shard
from svtcli.prepare.plan import Group, Miss
from svtcli.run.durable import write_atomic

WORK = ".work"


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
class Journal:
    """The work folder of the dataset `out`."""

    out: Path

    @property
    def work(self) -> Path:
        return self.out / WORK

    def begin(self, identity: str) -> None:
        """Keep what is finished of this very plan, and nothing of any other.

        The caller is the only one at work here.
        """
        if not self.is_of(identity):
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True)
            write_atomic(self.work / "plan", identity)
        self.clear("*")

    def is_of(self, identity: str) -> bool:
        """Whether this very plan is being made here."""
        record = self.work / "plan"
        return record.is_file() and record.read_text(encoding="utf-8") == identity

    def clear(self, who: str) -> None:
        """Remove what builders that were called `who` left half done."""
        for left in self.work.glob(f"building-{who}-*"):
            shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def building(self, who: str) -> Iterator[Path]:
        """A folder that nobody else writes to, for as long as it is needed."""
        place = self.work / f"building-{who}-{uuid4().hex[:8]}"
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def finish(self, group: Group, built: Built, place: Path) -> None:
        """Take the shards over from `place`, then record the group as done."""
        for shard in built.shards.values():
            for name in shard_files(shard):
                (place / name).replace(self.work / name)
        text = _built.dump_json(built).decode() + "\n"
        write_atomic(self._record(group), text)

    def read(self, group: Group) -> Built | None:
        """What an earlier run recorded, if all its files are still there."""
        try:
            built = _built.validate_json(self._record(group).read_bytes())
        except (OSError, ValidationError):
            return None
        # A stop while publishing has moved some files to their place already.
        files = [name for shard in built.shards.values() for name in shard_files(shard)]
        places = (self.work, self.out)
        whole = all(any((at / name).is_file() for at in places) for name in files)
        return built if whole else None

    def _record(self, group: Group) -> Path:
        return self.work / f"{group.name}.done.json"

    def leave_nothing(self) -> None:
        """Undo everything, if there was nothing else."""
        shutil.rmtree(self.work, ignore_errors=True)
        if self.out.is_dir() and all(p.name == ".lock" for p in self.out.iterdir()):
            (self.out / ".lock").unlink(missing_ok=True)
            self.out.rmdir()
