"""Durable files: whole or absent after a kill, a power cut or a full disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import google_crc32c

CHUNK = 1 << 22
"""Bytes read or written at a time."""


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
    try:
        with writing(path):
            yield aside
            sync_path(aside)
            move_into_place(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def move_into_place(aside: Path, path: Path) -> None:
    """Rename a file or folder to `path`, and flush the new name to the disk."""
    aside.replace(path)
    sync_path(path.parent)


def sync_file(file: IO[Any]) -> None:
    """Flush everything written to an open file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """Flush a file's content, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with writing(path):
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name `path` in an OSError; of a failed write the system tells only the reason."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def crc32c(path: Path) -> str:
    """CRC-32C of a file's bytes, eight hexadecimal digits."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            value = google_crc32c.extend(value, chunk)
    return f"{value:08x}"
