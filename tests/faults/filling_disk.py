"""Program that trains on a disk that is full from the N-th write on, for every N.

`filling_disk.py PLACE LIBRARY` prints the number of writes of a whole training. LIBRARY
is compiled from `filling_disk.c`, and preloaded.
"""

import ctypes
import sys
from pathlib import Path

from svtcli.cli.console import explain
from svtcli.run.directory import RunFolder
from svtcli.train import stage as stage
from svtcli.train.commit_record import holds, steps_in
from tests.faults.faulted_run import FaultedRun, compiled_once


class Disk:
    """Disk with room for a number of writes below a folder."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.CDLL(library)
        self._library.fill_disk_after.argtypes = [ctypes.c_long, ctypes.c_char_p]

    def fill_after(self, writes: int, folder: Path) -> None:
        """Allow this number of writes from now on."""
        self._library.fill_disk_after(writes, str(folder).encode())

    def make_room(self) -> int:
        """Remove the limit; return the number of writes since."""
        asked = self._library.room_asked()
        self._library.fill_disk_after(-1, b"")
        return int(asked)


def train_on_full_disk(faulted: FaultedRun, run: RunFolder, disk: Disk, n: int) -> bool:
    """Return True if training finished; otherwise check its error message."""
    disk.fill_after(n, run.path)
    try:
        faulted.train_here(run)
    except Exception as error:
        disk.make_room()
        sentence, hint, code = explain(error)
        assert (code, bool(hint)) == (74, True), (n, sentence)
        assert str(run.path) in sentence, (n, sentence)
        assert "\n" not in sentence
        for step in steps_in(run.checkpoints):
            assert holds(run.checkpoints, step), n
        return False
    return disk.make_room() <= n


def train_at_every_write(place: Path, library: str) -> int:
    """Return the smallest number of writes that is enough for a training."""
    faulted, disk = FaultedRun(place, 7, "train.keep=1"), Disk(library)
    stage.jit_update = compiled_once(stage.jit_update)
    faulted.train_straight()
    n, finished = 0, False
    while not finished:
        run = faulted.folder(f"full-{n}")
        finished = train_on_full_disk(faulted, run, disk, n)
        faulted.train_here(run)
        faulted.check_as_straight(run)
        n += 1
    return n - 1


if __name__ == "__main__":
    print(train_at_every_write(Path(sys.argv[1]), sys.argv[2]))
