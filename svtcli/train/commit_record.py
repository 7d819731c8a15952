"""The record that makes a checkpoint whole: what was written, and how to tell.

`commit.json` lists every file of the checkpoint with its size and sha256, every array
with its shape, and its own sha256. It is written last, when all it speaks of is on the
disk, so a folder with a record that holds is a checkpoint that holds.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from svtcli.run.durable import sync_path
from svtcli.run.fingerprint import fingerprint_file

RECORD = "commit.json"


class Broken(Exception):
    """A checkpoint is not what was written; the message says where."""


@dataclass(frozen=True)
class Record:
    """What a checkpoint says about itself."""

    step: int
    clips: str
    """Fingerprint of the clips that it was trained on."""
    arrays: dict[str, str]
    """Name of each array → its dtype and shape, as `float32[3,4]`."""
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Path inside the checkpoint → size in bytes and sha256; filled in by `seal`."""


def seal(folder: Path, record: Record) -> None:
    """Force all of `folder` to the disk, then write the record that vouches for it."""
    files = {}
    for path in _files(folder):
        sync_path(path)
        size, digest = path.stat().st_size, fingerprint_file(path)
        files[str(path.relative_to(folder))] = size, digest
    body = {**asdict(record), "files": files}
    text = json.dumps({**body, "sha256": _sha256_of(body)}, indent=1)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")
    sync_path(folder / RECORD)
    for inner in (path for path in folder.rglob("*") if path.is_dir()):
        sync_path(inner)
    sync_path(folder)


def read_record(folder: Path) -> Record:
    """The record of a checkpoint; `Broken` says what is wrong with it."""
    try:
        body = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if body.pop("sha256") != _sha256_of(body):
            raise Broken(f"{RECORD} was changed")
        files = {path: (size, sha) for path, (size, sha) in body.pop("files").items()}
        return Record(**body, files=files)
    except OSError as error:
        raise Broken(f"{RECORD}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Broken(f"{RECORD} is not a commit record") from error


def verify(folder: Path) -> Record:
    """The record of a checkpoint, every byte of which was read and found right."""
    record = read_record(folder)
    found = {str(path.relative_to(folder)) for path in _files(folder)}
    if strange := found ^ set(record.files):
        raise Broken(f"{min(strange)} was added or is missing")
    for name, (size, sha256) in record.files.items():
        path = folder / name
        if path.stat().st_size != size:
            raise Broken(f"{name} has {path.stat().st_size} bytes, not {size}")
        if fingerprint_file(path) != sha256:
            raise Broken(f"{name} does not hold what was written")
    return record


def _files(folder: Path) -> list[Path]:
    """Every file of a checkpoint but its record."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path != folder / RECORD)


def _sha256_of(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
