"""Moments of a save, recognized by its file operations.

Python announces each file that is opened, created, renamed or removed beforehand (audit
events), so a process can be killed at any of them without hooks in svt or orbax.
As a program, `moments.py K STEPS_BEFORE train …` is `svt train …` that kills itself
just before the K-th operation of its first save beyond step STEPS_BEFORE.

The arrays themselves are written by TensorStore, whose threads announce nothing: they
work between the moments "its folder is made" and "its metadata is written".
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable

MOMENTS = {
    "its folder is made": r"os\.mkdir unfinished/STEP\.[^/\s]+/\w+$",
    "its arrays are being written": r"os\.mkdir unfinished/STEP\.\S+/array_metadatas",
    "its metadata is written": r"open unfinished/STEP\.\S+/_METADATA",
    "orbax vouches for it": r"open unfinished/STEP\.\S+/commit_success\.txt",
    "orbax renames it": r"os\.rename unfinished/STEP\.\S+ unfinished/STEP$",
    "it is forced to the disk": r"open unfinished/STEP/",
    "its record is written": r"open unfinished/STEP/\.?commit\.json",
    "it gets its number": r"os\.rename unfinished/STEP STEP$",
    "it has its number": r"open \.$",
    "the older loses its number": r"os\.rename \d+ unfinished/old-\d+",
    "the older is thrown away": r"shutil\.rmtree unfinished/old-\d+",
    "the older is nearly gone": r"os\.rmdir unfinished/old-\d+$",
}
"""Next operation, in the order of a save → pattern of its announcement."""
PLACED = tuple(MOMENTS)[tuple(MOMENTS).index("it has its number") :]
"""Moments from which on the new checkpoint is the newest."""
_OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")

_listener: Callable[[str], None] | None = None
_hooked = False
_inside = threading.local()


def listen(listener: Callable[[str], None] | None) -> None:
    """Call `listener` before every operation below a `checkpoints/`.

    Its argument is like `os.rename unfinished/5 5`; it runs in the thread of the
    operation, and its own operations are not announced. None turns it off.
    """
    global _listener, _hooked
    if not _hooked:
        sys.addaudithook(_hook)
    _listener, _hooked = listener, True


def moment_of(operation: str, step: int) -> str | None:
    """Name in `MOMENTS` of this operation of the save of `step`, if any."""
    # Later patterns are more specific.
    for name, pattern in reversed(MOMENTS.items()):
        if re.match(pattern.replace("STEP", str(step)), operation):
            return name
    return None


def _hook(event: str, arguments: tuple) -> None:
    listener = _listener
    if listener is None or event not in (*_OPERATIONS, "shutil.rmtree"):
        return
    if getattr(_inside, "listener", False):
        return
    places = [place for place in map(_inside_checkpoints, arguments) if place]
    if places:
        _inside.listener = True
        try:
            listener(" ".join((event, *places)))
        finally:
            _inside.listener = False


def _inside_checkpoints(argument: object) -> str | None:
    """Path below `checkpoints/`, `.` for that folder; None for anything else."""
    if not isinstance(argument, str | os.PathLike):
        return None
    _, inside, below = f"{os.fspath(argument)}/".rpartition("/checkpoints/")
    return (below.strip("/") or ".") if inside else None


def _kill_before(operation: int, beyond: int) -> Callable[[str], None]:
    """Listener that kills this process; prints the save's step and the operation."""
    count = step = 0
    lock = threading.Lock()

    def listener(announced: str) -> None:
        nonlocal count, step
        with lock:
            if named := re.search(r" unfinished/(\d+)", announced):
                step = int(named.group(1))
            count += step > beyond
            if count == operation:
                os.write(1, f"{step} {announced}".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    return listener


if __name__ == "__main__":
    from svtcli.cli.app import main

    listen(_kill_before(int(sys.argv[1]), int(sys.argv[2])))
    sys.exit(main(sys.argv[3:]))
