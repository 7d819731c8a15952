"""Arrays in `.npy` and `.npz` files: headers, and values that are mapped for each read.

Pickles are never read.
"""

import errno
import os
import struct
import tokenize
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import IO, Literal
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np

from svtcli.failure import BadData, Refused, in_words

File = IO[bytes] | BufferedIOBase
"""A file, or a member of an archive."""
MALFORMED = (
    *(ValueError, TypeError, LookupError, SyntaxError, tokenize.TokenError),
    *(EOFError, RecursionError, MemoryError, OverflowError),
)
"""Exceptions of NumPy's parser of damaged headers."""
DAMAGE = (
    *(BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, EOFError),
    *(zlib.error, struct.error, MemoryError),
)
"""Exceptions of zipfile and NumPy for a damaged, encrypted or too large archive."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of unpacking that are not the archive's."""
LOCAL_HEADER = struct.Struct("<26xHH")
"""Header of a member of an archive, up to the lengths of its name and extra field."""


@dataclass(frozen=True)
class Header:
    """Contents of the header of a `.npy`."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    bytes: int
    """Length of the header itself."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.bytes + prod(self.shape) * self.dtype.itemsize


def read_header(file: File, where: str) -> Header:
    """Read the header of a `.npy` from its start; pickles are not read.

    Errors: BadData; Refused for a pickle.
    """
    start, version = file.read(6), (*file.read(2),)
    if start[:1] == b"\x80":
        raise _pickle_refused(where, "a pickle, not an array")
    if start != b"\x93NUMPY":
        why = "it is empty" if not start else "it does not start like one"
        raise BadData(f"{where}: not an array that NumPy has written ({why})")
    damaged = BadData(f"{where}: its header is damaged", "write or copy it again")
    if len(version) < 2:
        raise damaged
    parse = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if parse is None:
        raise BadData(f"{where}: an array of an unknown format {version}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about Python 2, whose headers are fine
            shape, fortran, dtype = parse(file)
    except MALFORMED as error:
        raise damaged from error
    if dtype.hasobject:
        raise _pickle_refused(where, "an array of Python objects, which is a pickle")
    if any(length < 0 for length in shape):
        raise damaged
    return Header(shape, fortran, dtype, file.tell())


def file_header(path: Path) -> Header:
    """Read the header of a `.npy` that is long enough for it. Errors: as `read_header`.

    OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        header = read_header(file, str(path))
        length = file.seek(0, os.SEEK_END)
    if length < header.size:
        what = f"{path}: ends early ({length} of {header.size} bytes)"
        raise BadData(what, "write or copy it again")
    return header


def _pickle_refused(where: str, kind: str) -> Refused:
    return Refused(
        f"{where}: {kind}; it could run any code, so it is not read",
        "save plain numbers: np.save(FILE, x) of a uint8 array x",
    )


def mapped(path: Path, header: Header, start: int) -> np.ndarray:
    """Map the array whose values begin at byte `start`. Errors: BadData."""
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    try:
        return np.memmap(
            path, header.dtype, "r", start, shape=header.shape, order=order
        )
    except (OSError, ValueError) as error:
        raise BadData(
            f"{path}: has changed while it was read ({in_words(error)})"
        ) from error


@contextmanager
def open_archive(path: Path) -> Iterator[ZipFile]:
    """Open a `.npz`. Errors: BadData, also for damage that is found by reading."""
    try:
        with ZipFile(path) as archive:
            yield archive
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        # zipfile may quote bytes of the file in place of a name.
        why = in_words(error)[:80]
        raise BadData(f"{path}: not a whole .npz ({why})") from error


def member_start(path: Path, info: ZipInfo, header: Header, where: str) -> int:
    """Byte of the archive at which the values of a stored array begin.

    Errors: BadData for a member, stored or compressed, that is too short for them.
    """
    if info.file_size < header.size:
        raise BadData(f"{where}: ends early ({info.file_size} of {header.size} bytes)")
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    return info.header_offset + LOCAL_HEADER.size + name + extra + header.bytes
