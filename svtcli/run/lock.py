"""Locks on folders: one process at a time writes there.

FOLDER/.lock        locked (flock) by the process that it names
FOLDER/.lock-owner  exists while a process works on a file system without such locks:
                    its ID and host; the time of the file is when it began
"""

import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from svtcli.failure import Locked
from svtcli.run.durable import UNSUPPORTED, writing

LOCK, OWNER = ".lock", ".lock-owner"
LOCK_FILES = (LOCK, OWNER)
"""Names of the files of a lock."""
NO_LOCKS = (*UNSUPPORTED, errno.ENOLCK)
"""Errors of flock on a file system that does not offer it."""
RECORD = re.compile(r"(\d+)\n([^\s?]+)")
"""Process and host in filelock's file; after a `?` it tells containers apart."""


@contextmanager
def only_writer(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of `folder`, after waiting for at most `wait` seconds.

    A network file system may keep locks to one machine. Where there are none an
    exclusive file takes their place; one left by a process that died on this host is
    taken over. Errors: `Locked`, which names the holder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = _acquire(folder, wait)
    except Timeout as timeout:
        raise _in_use(folder, Path(timeout.lock_file)) from None
    try:
        if isinstance(lock, FileLock):
            _name_holder(folder / LOCK)
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Return True if a process holds the lock of `folder` at this moment."""
    try:
        refuse_held(folder)
    except Locked:
        return True
    return False


def refuse_held(folder: Path) -> None:
    """Require that no process holds the lock of `folder` at this moment.

    Errors: `Locked`, which names the holder.
    """
    if (folder / LOCK).is_file():
        try:
            _acquire(folder, 0.0).release()
        except Timeout as timeout:
            raise _in_use(folder, Path(timeout.lock_file)) from None


def refuse_work_in(folder: Path) -> None:
    """Require that no process holds the lock of `folder` or of any folder inside.

    Errors: `Locked`, which names the holder.
    """
    for lock in folder.rglob(LOCK):
        refuse_held(lock.parent)


def _acquire(folder: Path, wait: float) -> BaseFileLock:
    """Lock `folder`, by an exclusive file if need be. Errors: Timeout."""
    lock: BaseFileLock = FileLock(folder / LOCK, timeout=wait, fallback_to_soft=False)
    try:
        with writing(folder / LOCK):
            lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        lock = SoftFileLock(folder / OWNER, timeout=wait)
        with writing(folder / OWNER):
            lock.acquire()
    return lock


def _name_holder(file: Path) -> None:
    """Write to `file` which process works here."""
    text = f"process {os.getpid()} on {socket.gethostname()} since {_minute()}\n"
    with writing(file):
        file.write_text(text, encoding="utf-8")


def _in_use(folder: Path, file: Path) -> Locked:
    """Error that names the holder of the lock, from the text and time of its file."""
    holder, hint = "another process", "wait for it, or end it"
    with suppress(OSError, ValueError):  # released meanwhile
        text = file.read_text(encoding="utf-8")
        if file.name == LOCK:
            holder = text.strip() or holder
        elif owner := RECORD.match(text):
            since = _minute(file.stat().st_mtime)
            holder = f"process {owner[1]} on {owner[2]} since {since}"
    if file.name == OWNER:
        hint += f"; if it no longer runs there, remove {file}"
    return Locked(f"{folder}: in use by {holder}", hint)


def _minute(seconds: float | None = None) -> str:
    """Local time to the minute, at `seconds` since 1970 or now."""
    when = datetime.now() if seconds is None else datetime.fromtimestamp(seconds)
    return when.astimezone().strftime("%Y-%m-%d %H:%M")
