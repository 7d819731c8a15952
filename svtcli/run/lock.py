"""Locks on folders, which the kernel releases when the holder dies."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from svtcli.failure import Locked
from svtcli.run.durable import writing

NAME = ".lock"


@contextmanager
def only_writer(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of `folder`, after waiting for at most `wait` seconds.

    It works between processes of one machine; a network file system may ignore it.
    Errors: `Locked`, which names the holder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / NAME
    lock = FileLock(file, timeout=wait)
    try:
        lock.acquire()
    except Timeout:
        holder = file.read_text(encoding="utf-8").strip() or "another process"
        raise Locked(
            f"{folder}: in use by {holder}", "wait for it, or end it"
        ) from None
    try:
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
        holder = f"process {os.getpid()} on {socket.gethostname()} since {since}"
        with writing(file):
            file.write_text(holder + "\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Return True if a process holds the lock of `folder` at this moment."""
    if not (folder / NAME).is_file():
        return False
    lock = FileLock(folder / NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False
