"""Which video files lie in a source folder, however many there are."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from svtcli.failure import Refused
from svtcli.prepare.sources.video_file import Video

ENDINGS = tuple(
    f".{ending}"
    for ending in (
        *("3gp", "apng", "avi", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "ogv", "ts", "webm", "webp", "wmv", "y4m"),
    )
)
"""What is taken for a video; a `.webp` only if it is animated (FFmpeg cannot decode it
then, so that it is a failure, and not overlooked). All else is not looked at."""

TABLES = (".csv", ".txt")


@dataclass(frozen=True)
class Listing:
    """What a folder holds."""

    videos: tuple[Video, ...]
    """Sorted by name."""
    outside: tuple[str, ...] = ()
    """Links that lead out of the folder; they are not followed."""
    nameless: int = 0
    """Files and folders whose name is not Unicode text; they are not read."""
    tables: tuple[str, ...] = ()
    """Names of `.csv` and `.txt` files, for whom they concern."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        notes = []
        if self.outside:
            notes.append(
                f"{len(self.outside)} links lead out of the source and are not read: "
                f"{self.outside[0]}" + (", …" if len(self.outside) > 1 else "")
            )
        if self.nameless:
            notes.append(f"{self.nameless} names are not UTF-8 and are not read")
        return tuple(notes)

    @property
    def findings(self) -> dict[str, int]:
        """The same for `report.json`; empty where all is well."""
        counts = {"links_outside": len(self.outside), "names_not_utf8": self.nameless}
        return {key: count for key, count in counts.items() if count}


def list_videos(folder: Path) -> Listing:
    """All videos in `folder` and the folders inside; hidden ones are left out.

    A link to a folder is never followed: what it leads to inside `folder` is found
    there, and what lies outside is not read. Nothing is asked of a file but its size.
    """
    walk = _Walk(folder)
    videos = sorted(walk.videos(folder, ""), key=lambda video: video.name)
    return Listing(
        tuple(videos), tuple(sorted(walk.outside)), walk.nameless, tuple(walk.tables)
    )


class _Walk:
    def __init__(self, folder: Path) -> None:
        self.root, self.real = folder, Path(os.path.realpath(folder))
        self.outside, self.tables = list[str](), list[str]()
        self.nameless = 0

    def videos(self, folder: Path, prefix: str) -> Iterator[Video]:
        with _scanned(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not self._may_be_read(entry, prefix):
                    continue
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    yield from self.videos(Path(entry.path), f"{name}/")
                elif is_video(entry.path) and entry.is_file():
                    yield Video(self.root, name, entry.stat().st_size)
                elif name.endswith(TABLES) and entry.is_file():
                    self.tables.append(name)

    def _may_be_read(self, entry: os.DirEntry[str], prefix: str) -> bool:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            self.nameless += 1
            return False
        if entry.is_symlink():
            inside = Path(os.path.realpath(entry.path)).is_relative_to(self.real)
            if not inside:
                self.outside.append(prefix + entry.name)
            return inside
        return True


def _scanned(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(folder)
    except OSError as error:
        raise Refused(f"{folder}: cannot be read ({error.strerror})") from error


def is_video(path: str) -> bool:
    """Whether a file should be a video, by its name; a `.webp` by its first bytes."""
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122 (fast: 400,000 files)
    if ending != ".webp":
        return ending in ENDINGS
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(21)
    except OSError:
        return True
    return len(start) == 21 and start[12:16] == b"VP8X" and bool(start[20] & 2)
