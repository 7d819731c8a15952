"""Files that are there whole or not at all, power cut or full disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content`, text as UTF-8, beside `path`, flush it to the disk, then rename
    it there."""
    whole = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the process number: on two hosts, in two containers, it may be the same.
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        with writing(path):
            with aside.open("wb") as file:
                file.write(whole)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk; a rename is not safe before that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with writing(folder):
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let an error name `path`: of a write that fails the system says only why."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
