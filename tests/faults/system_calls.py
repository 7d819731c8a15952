"""Files that a program has flushed to the disk, according to strace's log.

A path is unsafe from the call that changes it to the end of an fsync that began later:
a file by what is written, a folder by the names that come into it or leave it.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

STRACE = shutil.which("strace") or "strace"
CALLS = (
    "openat,creat,write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,"
    "copy_file_range,sendfile,rename,renameat,renameat2,link,linkat,"
    "mkdir,mkdirat,fsync,fdatasync"
)
TOLD = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>")
OF_HANDLE = re.compile(r"\d+<([^>]+)>")
NAME = re.compile(r'"([^"]*)"')


def can_trace() -> bool:
    """Return True if strace works here; a container may forbid it."""
    try:
        return subprocess.run((STRACE, "-qo", os.devnull, "true")).returncode == 0
    except OSError:
        return False


def traced(program: tuple[str, ...], log: Path) -> tuple[str, ...]:
    """Command that runs a program under strace, with its threads and processes."""
    return (STRACE, "-fy", "-o", str(log), "-e", f"trace={CALLS}", *program)


@dataclass
class Disk:
    """Paths below `place` that a power cut could undo."""

    place: Path
    unsafe: set[Path] = field(default_factory=set)
    _syncing: dict[str, Path] = field(default_factory=dict)

    def renames(self, log: Path) -> Iterator[tuple[Path, Path, set[Path]]]:
        """Renames, each with the paths below the old name that were unsafe then."""
        for line in _successful(log.read_text(errors="replace").splitlines()):
            if resumed := RESUMED.match(line):
                self._end_sync(resumed["thread"])
            elif told := TOLD.match(line):
                names = [self.place / name for name in NAME.findall(told["rest"])]
                if told["call"].startswith("rename"):
                    old, new = names
                    yield old, new, {one for one in self.unsafe if inside(one, old)}
                    self._renamed(old, new)
                else:
                    self._called(told["thread"], told["call"], told["rest"], names)
                    if "<unfinished" not in line:
                        self._end_sync(told["thread"])

    def _called(self, thread: str, call: str, rest: str, names: list[Path]) -> None:
        handle = OF_HANDLE.match(rest)
        if call in ("fsync", "fdatasync") and handle:
            self._syncing[thread] = Path(handle[1])
        elif call in ("mkdir", "mkdirat", "link", "linkat"):
            self._change(names[-1].parent)
            self._change(names[-1])
        elif call in ("openat", "creat"):
            if "O_CREAT" in rest:
                self._change(names[0].parent)
                self._change(names[0])
        elif handle:
            self._change(Path(handle[1]))

    def _change(self, path: Path) -> None:
        if inside(path, self.place):
            self.unsafe.add(path)
            # An fsync in progress may or may not have seen the change.
            self._syncing = {t: p for t, p in self._syncing.items() if p != path}

    def _end_sync(self, thread: str) -> None:
        self.unsafe.discard(self._syncing.pop(thread, self.place / "nothing"))

    def _renamed(self, old: Path, new: Path) -> None:
        self.unsafe = {
            new / one.relative_to(old) if inside(one, old) else one
            for one in self.unsafe
        }
        self._change(old.parent)
        self._change(new.parent)


def _successful(lines: list[str]) -> list[str]:
    """Lines without failed calls, also where others stand between call and result."""
    kept, failed = list[str](), set[str]()
    for line in reversed(lines):
        thread = line.split(" ", 1)[0]
        if " = -1 E" in line:
            if RESUMED.match(line):
                failed.add(thread)
        elif "<unfinished" in line and thread in failed:
            failed.discard(thread)
        else:
            kept.append(line)
    return kept[::-1]


def inside(path: Path, folder: Path) -> bool:
    """Return True for the folder itself, or a path below it."""
    return path == folder or folder in path.parents
