"""Videos in an array of a `.npz`: mapped where it lies, read whole if compressed."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from svtcli.evaluate.foreign.array_form import Header, check_form, read_header
from svtcli.evaluate.foreign.arrays import ArrayVideos, mapped, of_array
from svtcli.failure import BadData, Failure, Refused

DAMAGE = (
    *(BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, EOFError),
    *(zlib.error, struct.error, MemoryError),
)
"""What zipfile and NumPy raise where an archive is damaged, encrypted or too large."""
LOCAL_HEADER = struct.Struct("<26xHH")
"""What stands before a member ends with how long its name and its extras are."""


def open_npz(path: Path, key: str | None, name: str, frames: int | None) -> ArrayVideos:
    """The videos in the array `key` of a `.npz`; None for the only one with videos.

    Errors: `Refused`, `BadData`.
    """
    with _opened(path) as archive:
        members = {
            info.filename.removesuffix(".npy"): info for info in archive.infolist()
        }
        if not members:
            raise Refused(f"{path}: holds no array")
        key = _only(path, archive, members) if key is None else key
        if key not in members:
            raise Refused(
                f"{path}: holds no array {key!r}", f"it has {', '.join(members)}"
            )
        where = f"{path}:{key}"
        with archive.open(members[key]) as file:
            header = read_header(file, where)
            check_form(header, file, where)
        if members[key].compress_type == ZIP_STORED:
            start = _start(path, members[key], header, where)
            array = partial(mapped, path, header, start)
        else:
            with archive.open(members[key]) as file:
                array = partial(_kept, np.lib.format.read_array(file))
    return of_array(array, header.shape, name, frames)


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as archive:
            yield archive
    except DAMAGE as error:
        # zipfile may show what it read in place of a name.
        why = (str(error) or type(error).__name__).splitlines()[0][:80]
        raise BadData(f"{path}: not a whole .npz ({why})") from error


def _only(path: Path, archive: ZipFile, members: dict[str, ZipInfo]) -> str:
    """The one array that may hold videos. Errors: `Refused`, with what there is."""
    if len(members) == 1:
        return next(iter(members))
    headers = {key: _header(archive, info) for key, info in members.items()}
    # Numbers of any type count: truth must not pass for samples that are float.
    like = [
        key for key, header in headers.items() if header and len(header.shape) in (5, 6)
    ]
    if len(like) != 1:
        said = ", ".join(
            f"{key} {header.dtype} {list(header.shape)}" if header else key
            for key, header in headers.items()
        )
        raise Refused(f"{path}: several arrays: {said}", f"say which: {path}:KEY")
    return like[0]


def _header(archive: ZipFile, info: ZipInfo) -> Header | None:
    """The header of an array, None for what is none or would need a pickle."""
    try:
        with archive.open(info) as file:
            return read_header(file, info.filename)
    except Failure:
        return None


def _start(path: Path, info: ZipInfo, header: Header, where: str) -> int:
    """Where in the archive the numbers of a stored array begin. Errors: `BadData`."""
    if info.file_size < header.size:
        raise BadData(f"{where}: ends early ({info.file_size} of {header.size} bytes)")
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    return info.header_offset + LOCAL_HEADER.size + name + extra + header.bytes


def _kept(array: np.ndarray) -> np.ndarray:
    return array
