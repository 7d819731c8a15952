"""Train on a disk that is full from the N-th write on, for every N. A program.

`filling_disk.py PLACE LIBRARY`, with LIBRARY, made of `filling_disk.c`, preloaded,
prints how many writes a whole training does.
"""

import ctypes
import sys
from pathlib import Path

from svtcli.cli.failures import explain
from svtcli.run.directory import RunFolder
from svtcli.train import stage as stage
from svtcli.train.commit_record import holds, steps_in
from tests.faults.faulted_run import FaultedRun, compiled_once


class Disk:
    """Room for so many writes below a folder."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.CDLL(library)
        self._library.fill_disk_after.argtypes = [ctypes.c_long, ctypes.c_char_p]

    def fill_after(self, writes: int, folder: Path) -> None:
        """Count from now on."""
        self._library.fill_disk_after(writes, str(folder).encode())

    def make_room(self) -> int:
        """End it; how many writes were asked for."""
        asked = self._library.room_asked()
        self._library.fill_disk_after(-1, b"")
        return int(asked)


def train_on_full_disk(faulted: FaultedRun, run: RunFolder, disk: Disk, n: int) -> bool:
    """Whether it was through before the disk was full; if not, it was told as it is."""
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
    """The least number of writes that is enough."""
    faulted, disk = FaultedRun(place, 7, "train.keep=1"), Disk(library)
    stage.jit_update = compiled_once(stage.jit_update)
    faulted.train_straight()
    n, through = 0, False
    while not through:
        run = faulted.folder(f"full-{n}")
        through = train_on_full_disk(faulted, run, disk, n)
        faulted.train_here(run)
        faulted.check_as_straight(run)
        n += 1
    return n - 1


if __name__ == "__main__":
    print(train_at_every_write(Path(sys.argv[1]), sys.argv[2]))
