"""Durable files: whole or absent after a kill, a power cut or a full disk.

Also records, JSON that is read back only as it was written, and fingerprints: equal
ones mean equal values or equal files.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath
from typing import IO, Any

import google_crc32c

from svtcli.failure import BadData, StorageFailed
from svtcli.run.signals import unfinished

CHUNK = 1 << 17
"""Bytes read or written at a time."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk or quota."""
STORAGE = (*FULL, errno.EFBIG, errno.EIO)
"""Errors of a full or failing disk, a quota, or the largest file allowed."""
UNSUPPORTED = (errno.EINVAL, errno.EOPNOTSUPP, 524, errno.ENOSYS)
"""Errors of a file system that lacks a call; 524 is the kernel's own ENOTSUPP."""
NO_FLUSH = (*UNSUPPORTED, errno.EBADF, errno.EACCES)
"""Errors of fsync on what it cannot flush, and of opening a folder without `r`."""
SEAL = "sha256"
"""Key of a record's own checksum: the SHA-256 of its other values."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content`, text as UTF-8, to `path`; replaces what was there at once."""
    with replacing(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of `path` on success.

    The file is flushed to the disk before it is renamed. On an error `path` stays as
    it was, and nothing is left beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Random, not the process ID: two hosts or containers may use the same one.
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    with removed(aside), writing(path):
        yield aside
        sync_path(aside)
        move_into_place(aside, path)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of `replacing`; the caller locks `folder`."""
    for aside in folder.glob(".*.part"):
        aside.unlink(missing_ok=True)


@contextmanager
def removed(aside: Path) -> Iterator[Path]:
    """Remove a file or folder at the end, also where a signal ends the process."""
    unfinished.add(aside)
    try:
        yield aside
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)
        unfinished.discard(aside)


def move_into_place(aside: Path, path: Path) -> None:
    """Rename a file or folder to `path`, and flush the new name to the disk."""
    aside.replace(path)
    sync_path(path.parent)


def sync_file(file: IO[Any]) -> None:
    """Flush everything written to an open file to the disk."""
    file.flush()
    with _flush_if_supported():
        os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """Flush a file's content, or the names in a folder, to the disk."""
    with writing(path), _flush_if_supported():
        _fsync(path)


def can_flush(folder: Path) -> bool:
    """Return False if the names in `folder` cannot be flushed to the disk."""
    try:
        _fsync(folder)
    except OSError as error:
        return error.errno not in NO_FLUSH
    return True


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _flush_if_supported() -> Iterator[None]:
    """Go on where a file system, or the mode of a folder, allows no flush."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_FLUSH:
            raise


def free_bytes(folder: Path) -> int | None:
    """Bytes that this user may still write to a folder.

    None where it is unknown: some file systems in user space, and some over a network,
    report 0 of 0.
    """
    try:
        space = shutil.disk_usage(folder)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return None
    return space.free if space.total else None


def require_room(folder: Path, needed: int, what: str, hint: str) -> None:
    """Compare `needed` bytes with the free ones, if known. Errors: StorageFailed."""
    free = free_bytes(folder)
    if free is not None and needed > free:
        lack = f"{what} needs {needed:,} bytes, {free:,} are free"
        raise StorageFailed(f"{folder}: {lack}", hint)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name `path` in an OSError: the system gives no path for a failed write."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name `path` in an error of a full or failing disk that names no file itself."""
    try:
        yield
    except OSError as error:
        if error.errno in STORAGE and error.filename is None:
            error.filename = str(path)
        raise


def room_at(path: Path, error: Exception) -> str:
    """Free bytes beside `path`, for the message of a full disk; else empty.

    Bytes may be free where there is no room for one more file, or for a larger block.
    """
    if not _reports(error, *FULL):
        return ""
    there = next(folder for folder in path.absolute().parents if folder.exists())
    free = free_bytes(there)
    return "" if free is None else f" ({free:,} bytes are free)"


def disk_remedy(error: Exception) -> str:
    """Advice on a failed read or write, of the system or of a library."""
    if _reports(error, *FULL):
        return "free some space"
    if _reports(error, errno.EFBIG):
        return "allow larger files (ulimit -f)"
    return "check the disk and its permissions"


def _reports(error: Exception, *numbers: int) -> bool:
    """Return True if `error` is, or quotes, one of these errors of the system."""
    return any(os.strerror(number) in str(error) for number in numbers)


def write_record(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` as a JSON object that ends with its checksum, at once."""
    sealed = {**values, SEAL: _seal(values)}
    write_atomic(path, json.dumps(sealed, indent=2) + "\n")


def read_record(
    path: Path, remedy: str, keys: Collection[str] = (), unsealed: Collection[str] = ()
) -> dict[str, Any]:
    """Read the values that `write_record` wrote, which include `keys`.

    Without a checksum, as an older svt wrote them, values of no other keys than
    `unsealed` are accepted. Errors: BadData with `remedy` as hint for any other
    content; OSError.
    """
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadData(f"{path}: damaged: not JSON any more", remedy) from error
    if not isinstance(values, dict):
        raise BadData(f"{path}: damaged: not a record of svt", remedy)
    seal = values.pop(SEAL, None)
    older = seal is None and values and values.keys() <= set(unsealed)
    if not older and seal != _seal(values):
        what = "has changed since it was written" if seal else "damaged: no checksum"
        raise BadData(f"{path}: {what}", remedy)
    if missing := sorted(set(keys) - values.keys()):
        raise BadData(f"{path}: written by another svt: no {missing[0]}", remedy)
    return values


def _seal(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def check_file(path: Path, checksum: str, remedy: str) -> None:
    """Compare a file with its CRC-32C. Errors: BadData with `remedy` as hint."""
    try:
        now = crc32c(path)
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror})", remedy) from error
    if now != checksum:
        what = f"has changed since it was written ({now}, was {checksum})"
        raise BadData(f"{path}: {what}", remedy)


def crc32c(path: Path) -> str:
    """CRC-32C of a file's bytes, eight hexadecimal digits."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            value = google_crc32c.extend(value, chunk)
    return f"{value:08x}"


def fingerprint(*parts: object) -> str:
    """SHA-256 (64 hex digits) of plain values, the same in every process and release.

    Parts may be None, bool, int, float, str, paths, dataclasses, mappings with string
    keys, lists and tuples of them. Tuples equal lists, and the order of a mapping does
    not matter. Errors: TypeError for anything else.
    """
    text = json.dumps(
        [_plain(part) for part in parts],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_file(path: Path | str) -> str:
    """SHA-256 (64 hex digits) of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: object) -> object:
    """Equivalent of `value` in JSON's types."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case PurePath():
            return value.as_posix()
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {_text_key(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in fields(value)
        }
    raise TypeError(f"a {type(value).__name__} has no fingerprint")


def _text_key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise TypeError(f"a mapping's key must be text to have a fingerprint, not {key!r}")
