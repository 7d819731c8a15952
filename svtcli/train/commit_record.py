"""Commit records: which checkpoints of a run are complete and undamaged; no jax here.

`commit.json` lists every file of a checkpoint with its size and sha256, every array
with its shape, and its own sha256. It is written last, once everything else is on the
disk: a checkpoint without it is incomplete, one that differs from it is damaged. A
reader holds a shared lock (flock) on the record, and the training that runs meanwhile
does not delete that checkpoint.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from svtcli.failure import BadData, StorageFailed, in_words
from svtcli.recipe.data import clips_folder
from svtcli.recipe.schema import Recipe
from svtcli.run.directory import RunFolder, numbered
from svtcli.run.durable import (
    disk_remedy,
    fingerprint,
    fingerprint_file,
    read_record,
    sync_path,
    write_record,
)
from svtcli.run.progress import counted

RECORD, QUARANTINE = "commit.json", "quarantine"
ATTEMPTS = 100
"""Maximum number of tries to open the newest checkpoint before it is deleted."""


class CorruptCheckpoint(Exception):
    """A checkpoint differs from its commit record; the message says where."""


@dataclass(frozen=True)
class Record:
    """Contents of `commit.json`."""

    step: int
    clips: str
    """Fingerprint of the training clips."""
    arrays: dict[str, str]
    """Name of each array → its dtype and shape, as `float32[3,4]`."""
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Path inside the checkpoint → size in bytes and sha256; filled in by `seal`."""


def seal(folder: Path, record: Record) -> None:
    """Flush all of `folder` to the disk, then write its commit record."""
    files = {}
    for path in _files(folder):
        sync_path(path)
        size, digest = path.stat().st_size, fingerprint_file(path)
        files[str(path.relative_to(folder))] = size, digest
    write_record(folder / RECORD, {**asdict(record), "files": files})
    for inner in (path for path in folder.rglob("*") if path.is_dir()):
        sync_path(inner)
    sync_path(folder)


def verify(folder: Path) -> Record:
    """Return a checkpoint's record after comparing every byte with it.

    Errors: CorruptCheckpoint; StorageFailed where it cannot be read, which may pass.
    """
    try:
        return _compared(folder)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        name = Path(str(error.filename)).name
        raise CorruptCheckpoint(f"{name} is missing") from error
    except OSError as error:
        raise StorageFailed(
            f"{error.filename or folder}: cannot be read ({in_words(error)})",
            f"{disk_remedy(error)}, then run again; if it stays so, move {folder} "
            "away to use an older checkpoint",
        ) from error


def _compared(folder: Path) -> Record:
    """Record that every file agrees with. Errors: CorruptCheckpoint, OSError."""
    keys = {field.name for field in fields(Record)}
    try:
        values = read_record(folder / RECORD, "", keys)
    except BadData as error:
        raise CorruptCheckpoint(f"{RECORD} has changed or is not one") from error
    files = {path: (size, sha) for path, (size, sha) in values["files"].items()}
    record = Record(**{key: values[key] for key in keys} | {"files": files})
    found = {str(path.relative_to(folder)) for path in _files(folder)}
    if unexpected := found ^ set(record.files):
        raise CorruptCheckpoint(f"{min(unexpected)} was added or is missing")
    for name, (size, sha256) in record.files.items():
        path = folder / name
        if path.stat().st_size != size:
            raise CorruptCheckpoint(
                f"{name} has {counted(path.stat().st_size, 'byte')}, not {size}"
            )
        if fingerprint_file(path) != sha256:
            raise CorruptCheckpoint(f"{name} has changed since it was written")
    return record


def holds(folder: Path, step: int) -> bool:
    """Return True if the checkpoint of `step` is undamaged; reads every byte."""
    try:
        verify(folder / str(step))
    except (CorruptCheckpoint, StorageFailed):
        return False
    return True


def steps_in(folder: Path) -> list[int]:
    """Steps with a complete checkpoint in `folder`, ascending; not verified."""
    return [
        step for step in numbered(folder) if (folder / f"{step}" / RECORD).is_file()
    ]


def latest_step(folder: Path) -> int | None:
    """Newest step with a complete checkpoint in `folder`; None without one."""
    return max(steps_in(folder), default=None)


def was_saved(folder: Path) -> bool:
    """Return True if `folder` has ever held a checkpoint, intact or damaged."""
    return bool(numbered(folder)) or any((folder / QUARANTINE).glob("*"))


def _files(folder: Path) -> list[Path]:
    """Every file of a checkpoint but its record. Errors: OSError."""

    def fail(error: OSError) -> None:
        raise error  # where `rglob` would see an empty folder

    found = [
        Path(inner, name)
        for inner, _, names in os.walk(folder, onerror=fail)
        for name in names
    ]
    return sorted(path for path in found if path != folder / RECORD)


@contextmanager
def unread(folder: Path) -> Iterator[bool]:
    """Yield True if nobody reads this checkpoint, nor begins to before the end.

    It is True, too, where the file system has no locks.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context((folder / RECORD).open("rb+"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError as error:
            free = error.errno != errno.EWOULDBLOCK
        yield free


@dataclass(frozen=True)
class Checkpoint:
    """An existing checkpoint; `load_network` reads its arrays."""

    run: RunFolder
    step: int
    recipe: Recipe
    held: "Held | None" = field(default=None, compare=False, repr=False)
    """Lock against its deletion."""
    out: RunFolder | None = None
    """Folder to write to in place of the run, which may be read-only."""
    networks: dict[str, Any] | None = field(default=None, compare=False, repr=False)
    """Loaded networks by their precision, to be used again; None keeps none."""

    @property
    def results(self) -> RunFolder:
        """Folder whose `eval/` and `samples/` take what is computed."""
        return self.out or self.run

    @property
    def name(self) -> str:
        """Argument of commands: RUN@STEP."""
        return f"{self.run.name}@{self.step}"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every byte of the checkpoint, through its commit record."""
        place = self.run.checkpoints / str(self.step)
        return fingerprint(fingerprint_file(place / RECORD))

    @property
    def clips(self) -> Path:
        """Folder of the clips it was trained on, as the run's recipe names it."""
        return clips_folder(self.recipe.data, self.run.name)


def open_checkpoint(
    run: RunFolder,
    step: int | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Checkpoint:
    """Open the checkpoint of `step`; None for the newest one that is complete.

    The run's training does not delete it while it is open. `note` reports newer ones
    that are skipped. Errors: StorageFailed.
    """
    folder = run.checkpoints
    for _ in range(ATTEMPTS):
        found = latest_step(folder) if step is None else step
        if found not in steps_in(folder):
            break
        with suppress(FileNotFoundError, BlockingIOError):  # it is being deleted
            held = Held(folder / str(found) / RECORD)
            if step is None:
                _name_skipped(folder, found, note)
            return Checkpoint(run, found, run.recipe(), held)
    place = folder / ("" if found is None else f"{found}")
    if not place.exists():
        raise deleted(place)
    raise StorageFailed(f"{place}: damaged checkpoint: {RECORD} is missing")


def deleted(place: Path) -> StorageFailed:
    """Error for a checkpoint that a training has deleted before it was read."""
    return StorageFailed(
        f"{place}: deleted by its training, which keeps only the newest checkpoints",
        "run the same command again",
    )


class Held:
    """Record of a checkpoint, locked against deletion for as long as this lives.

    It is only open where the file system has no locks. Errors: FileNotFoundError,
    BlockingIOError if the checkpoint is being deleted.
    """

    def __init__(self, record: Path) -> None:
        self._file = os.open(record, os.O_RDONLY)
        try:
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return
        if not os.path.samestat(os.fstat(self._file), record.stat()):
            raise FileNotFoundError(errno.ENOENT, "replaced", str(record))

    def __del__(self) -> None:
        with suppress(AttributeError):  # there was no record to open
            os.close(self._file)


def _name_skipped(folder: Path, used: int, note: Callable[[str], None]) -> None:
    """Tell of checkpoints that are newer than step `used` and have no record."""
    for step in (step for step in numbered(folder) if step > used):
        if not (folder / str(step) / RECORD).exists():
            why = f"checkpoint {step} has no {RECORD} and is skipped"
            note(f"{folder}: {why}; using {used}")
