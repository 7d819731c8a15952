"""One writer at a time: a lock that the kernel drops when its holder dies."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from svtcli.failure import Locked


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold `folder` against every other writer; `Locked` names the one that has it.

    Holds between processes of one machine; a network file system may not honour it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".lock"
    lock = FileLock(file, blocking=False)
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
        file.write_text(holder + "\n", encoding="utf-8")
        yield
    finally:
        lock.release()
