"""Unpack archives of videos: the video files alone, flat, in one folder.

An archive is untrusted: only regular files with the base name of a Kinetics video are
written, under that base name alone, so that no member's path, link or device counts. It
is read as a stream, one member with its header at a time, and within bounds that no
archive of videos reaches.
"""

import gzip
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from svtcli.failure import Refused, StorageFailed, in_words
from svtcli.prepare.sources.source_folder import inside
from svtcli.run.durable import CHUNK, sync_file, sync_path

VIDEO = re.compile(
    r"[^/\\\x00-\x1f\x7f]{11}(?:_\d{6}_\d{6})?\.(?:mp4|mkv|webm|avi)", re.ASCII
)
"""`<11 characters of the id>[_<start>_<end>].<container>`; an id may hold `_`."""
RATIO = 20
"""Largest growth of a gzip; videos are packed already."""
SLACK = 1 << 20
"""Bytes that small archives may grow beyond `RATIO`, and that headers may take."""
MEMBERS = 1_000_000
MARK, PART = ".unpacked", ".part"
DAMAGE = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError)
"""Errors of tarfile and gzip; ValueError for an invalid number in a header."""


class BrokenArchive(StorageFailed):
    """Not an archive, cut off, damaged, or beyond the bounds."""


class _Bounded:
    """A file that raises `BrokenArchive` when it is read beyond `allowed` bytes."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._taken = 0
        self.allowed = SLACK

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        if self._taken >= self.allowed:
            raise BrokenArchive("a header or an end that is too long")
        content = self._file.read(min(size, self.allowed - self._taken))
        self._taken += len(content)
        return content


def unpack(archive: Path, into: Path) -> int:
    """Write the videos of `archive` (.tar.gz) to the folder `into`, and count them.

    A video that is there with the same size is kept; no other appears before gzip's
    checksum at the end is verified. Then `<archive>.unpacked` replaces the archive.
    Errors: `BrokenArchive`, which removes the archive too, so that it is fetched again;
    `StorageFailed` when the disk is full; `Refused` when `into` leads out of its own
    parent folder.
    """
    if not inside(into.parent, into):
        raise Refused(f"{into}: a link that leads out of {into.parent}")
    staged = archive.with_name(archive.name + ".unpacking")
    try:
        with _fresh(staged):
            into.mkdir(exist_ok=True)
            count = _unpack(archive, into, staged)
            for video in staged.iterdir():
                video.replace(into / video.name.removesuffix(PART))
        sync_path(into)
    except DAMAGE as error:
        raise _broken(archive, in_words(error)) from error
    except BrokenArchive as error:
        raise _broken(archive, error.sentence) from error
    except OSError as error:
        raise StorageFailed(
            f"{into}: cannot unpack {archive.name} ({in_words(error)})",
            "make room there and re-run the same command",
        ) from error
    mark = archive.with_name(archive.name + MARK)
    mark.write_text(f"{count} videos in {into.name}\n", encoding="utf-8")
    archive.unlink()
    return count


@contextmanager
def _fresh(folder: Path) -> Iterator[None]:
    """Provide an empty folder; remove it afterwards, and one of a killed process."""

    def clear() -> None:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)

    clear()
    folder.mkdir()
    try:
        yield
    finally:
        clear()


def _broken(archive: Path, why: str) -> BrokenArchive:
    archive.unlink()
    return BrokenArchive(
        f"{archive}: not a complete archive of videos ({why}); removed",
        "re-run the same command to fetch it again",
    )


def _unpack(archive: Path, into: Path, staged: Path) -> int:
    """Write the videos that `into` lacks to `staged`; return the number of videos."""
    most = RATIO * archive.stat().st_size + SLACK
    videos = members = 0
    with gzip.open(archive) as unpacked:
        source = _Bounded(unpacked)
        with tarfile.open(fileobj=source, mode="r|") as tar:  # type: ignore[call-overload]
            while (member := tar.next()) is not None:
                members += 1
                end = member.offset_data + member.size
                if member.size < 0 or end > most or members > MEMBERS:
                    raise BrokenArchive(
                        f"{members} members, {end} bytes: {RATIO} times its own size "
                        f"and {MEMBERS} members are the most"
                    )
                source.allowed = end + SLACK
                videos += _take(tar, member, into, staged)
                tar.members = []  # it would remember every member
            _check_end(tar)
    return videos


def _take(
    tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path, staged: Path
) -> bool:
    """Write one member if it is a missing video; return True if it is a video."""
    name = PurePosixPath(member.name).name
    if not member.isreg() or member.issparse() or not VIDEO.fullmatch(name):
        return False
    target = into / name
    there = not target.is_symlink() and target.is_file()
    if there and target.stat().st_size == member.size:
        return True
    content = tar.extractfile(member)
    if content is None:
        return False
    part = staged / (name + PART)
    part.unlink(missing_ok=True)  # the archive has this name twice
    with part.open("xb") as file:
        while chunk := content.read(CHUNK):
            file.write(chunk)
        sync_file(file)
    if (lacks := member.size - part.stat().st_size) != 0:
        raise BrokenArchive(f"{name} lacks {lacks} bytes")
    return True


def _check_end(tar: tarfile.TarFile) -> None:
    """Read to the end, where gzip has its checksum: only zeros are allowed there."""
    rest = tar.fileobj
    while rest is not None and (chunk := rest.read(CHUNK)):
        if chunk.strip(b"\0"):
            raise BrokenArchive("a damaged header")
