"""Arrays in `.npy`, `.npz`, `.safetensors` and HDF5 files.

Shapes and types come from headers, whose sizes are compared with the file's; numbers
are read slice by slice, so that memory does not depend on the size of a file. Nothing
is unpickled, and an HDF5 file cannot name other files to read.
"""

import errno
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from svtcli.failure import BadData, Failure, Refused
from svtcli.video.array_layout import Index
from svtcli.video.npy_files import (
    Header,
    file_header,
    mapped,
    member_start,
    open_archive,
    read_header,
)

ENDINGS = (".npy", ".npz", ".safetensors", ".h5", ".hdf5")
NUMERIC = re.compile(r"bool|u?int\d+|b?float\d+")
SAFETENSORS = {"BOOL": "bool", "BF16": "bfloat16"} | {
    f"{letter}{bits}": f"{name}{bits}"
    for letter, name in (("U", "uint"), ("I", "int"), ("F", "float"))
    for bits in (8, 16, 32, 64)
    if (letter, bits) != ("F", 8)
}
"""NumPy's names of the types of a `.safetensors`."""
CHUNK_CACHE = 1 << 26
"""Bytes of an HDF5 file's decompressed chunks that are kept."""
COPY = 1 << 20
LARGEST_FORTRAN = 1 << 29
"""Bytes of an array in Fortran order, which is read whole."""
HDF5_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""Exceptions of h5py for a damaged file."""

Read = Callable[[Index], np.ndarray]
"""Reads the numbers at an index."""


@dataclass(frozen=True)
class StoredArray:
    """One array of a file, according to its header."""

    path: Path
    key: str
    """Name in its file; empty for a `.npy`."""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    """NumPy's name of the type of its numbers; `str` of texts."""
    problem: str = ""
    """Reason why it cannot be read; empty if it can."""
    packed: bool = False
    """True where it is unpacked as a whole before any of it is read."""

    @property
    def numeric(self) -> bool:
        """True for numbers, and for booleans."""
        return not self.problem and NUMERIC.fullmatch(self.dtype) is not None

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        bits = re.sub(r"\D", "", self.dtype)
        return int(bits) // 8 if bits else 1

    def __str__(self) -> str:
        kind = f"{self.dtype} {list(self.shape)}" if self.dtype else "unreadable"
        return f"{self.key} ({kind})" if self.key else kind

    @contextmanager
    def open(self, aside: Path) -> Iterator[Read]:
        """Open the file; a compressed member of a `.npz` is unpacked to file `aside`.

        Errors: `BadData`, also of the function that reads; `OSError` for a disk that is
        too full to unpack.
        """
        opened = {
            ".npy": _open_npy,
            ".npz": _open_npz,
            ".safetensors": _open_safetensors,
        }.get(self.path.suffix.lower(), _open_hdf5)
        with opened(self, aside) as read:
            yield read


def list_arrays(path: Path) -> Mapping[str, StoredArray]:
    """List the arrays of a file by name. Errors: `BadData`, `Refused`."""
    listed = {
        ".npy": _list_npy,
        ".npz": _list_npz,
        ".safetensors": _list_safetensors,
    }.get(path.suffix.lower(), _list_hdf5)
    try:
        return {array.key: array for array in listed(path)}
    except OSError as error:
        why = error.strerror or str(error)
        raise BadData(f"{path}: cannot be read ({why})") from error


def _list_npy(path: Path) -> Iterator[StoredArray]:
    header = file_header(path)
    yield _described(path, "", header, packed=False)


@contextmanager
def _open_npy(array: StoredArray, aside: Path) -> Iterator[Read]:
    header = file_header(array.path)
    yield _reader(array.path, header, header.bytes)


def _reader(path: Path, header: Header, start: int) -> Read:
    """Return a function that reads from byte `start` on."""
    if header.fortran:
        return np.ascontiguousarray(mapped(path, header, start)).__getitem__
    # Mapped for each read: pages that were read do not add up to the size of the file.
    return lambda index: np.array(mapped(path, header, start)[index])


def _described(path: Path, key: str, header: Header, packed: bool) -> StoredArray:
    """Describe the array of a `.npy`."""
    size, problem = header.size - header.bytes, ""
    if header.fortran and size > LARGEST_FORTRAN:
        what = f"its {size:,} bytes are in Fortran order, so that each clip is all over"
        problem = f"{what}; save it as np.ascontiguousarray(x)"
    return StoredArray(path, key, header.shape, header.dtype.name, problem, packed)


def _members(archive: ZipFile) -> dict[str, ZipInfo]:
    return {info.filename.removesuffix(".npy"): info for info in archive.infolist()}


def _list_npz(path: Path) -> Iterator[StoredArray]:
    with open_archive(path) as archive:
        for key, info in _members(archive).items():
            try:
                header = _member_header(path, archive, info)
            except Failure as error:
                why = str(error).removeprefix(f"{path}:{key}: ")
                yield StoredArray(path, key, problem=why)
            else:
                packed = info.compress_type != ZIP_STORED
                yield _described(path, key, header, packed)


def _member_header(path: Path, archive: ZipFile, info: ZipInfo) -> Header:
    where = f"{path}:{info.filename.removesuffix('.npy')}"
    with archive.open(info) as file:
        header = read_header(file, where)
    # An archive that claims more than it holds would otherwise be unpacked first.
    if info.file_size != header.size:
        sizes = f"{info.file_size} bytes, its shape takes {header.size}"
        raise BadData(f"{where}: {sizes}")
    return header


@contextmanager
def _open_npz(array: StoredArray, aside: Path) -> Iterator[Read]:
    path = array.path
    try:
        with open_archive(path) as archive:
            info = _members(archive)[array.key]
            header = _member_header(path, archive, info)
            if info.compress_type == ZIP_STORED:
                start = member_start(path, info, header, array.key)
            else:
                _require_room(aside, info.file_size)
                with archive.open(info) as packed, aside.open("xb") as file:
                    shutil.copyfileobj(packed, file, COPY)
                path, start = aside, header.bytes
        yield _reader(path, header, start)
    finally:
        aside.unlink(missing_ok=True)


def _require_room(aside: Path, size: int) -> None:
    """Compare with the free disk space. Errors: `OSError` where it is too little."""
    if shutil.disk_usage(aside.parent).free < size:
        raise OSError(errno.ENOSPC, f"no room to unpack {size:,} bytes", str(aside))


def _list_safetensors(path: Path) -> Iterator[StoredArray]:
    with _safetensors(path) as file:
        for key in file.keys():  # noqa: SIM118 (not a mapping)
            tensor = file.get_slice(key)
            dtype = SAFETENSORS.get(tensor.get_dtype(), tensor.get_dtype())
            yield StoredArray(path, key, tuple(tensor.get_shape()), dtype)


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        why = str(error).splitlines()[0][:120]
        raise BadData(f"{path}: not a whole .safetensors ({why})") from error


@contextmanager
def _open_safetensors(array: StoredArray, aside: Path) -> Iterator[Read]:
    if array.dtype == "bfloat16":
        import ml_dtypes  # noqa: F401 (gives NumPy the type)

    def read(index: Index) -> np.ndarray:
        with _safetensors(array.path) as file:
            part: np.ndarray = file.get_slice(array.key)[index]
        return part

    yield read


@contextmanager
def _hdf5_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except HDF5_DAMAGE as error:
        why = (str(error).strip("'\" ") or type(error).__name__).splitlines()[0][:120]
        raise BadData(f"{path}: cannot be read as HDF5 ({why})") from error


def _hdf5(path: Path) -> Any:
    """Open an HDF5 file. Errors: `BadData`; `Refused` without h5py."""
    try:
        import h5py
    except ImportError:
        raise Refused(
            f"{path}: HDF5 files need h5py, which is not installed",
            "install it: pip install h5py (or svt's extra hdf5)",
        ) from None
    with _hdf5_damage(path):
        return h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE, locking="best-effort")


def _list_hdf5(path: Path) -> Iterator[StoredArray]:
    found = dict[str, Any]()
    with _hdf5(path) as file, _hdf5_damage(path):
        # Follows no links, neither in the file nor out of it.
        file.visititems(lambda key, item: found.update({key: item}))
        for key, item in found.items():
            if hasattr(item, "dtype") and item.shape is not None:
                yield _dataset(path, key, item)


def _dataset(path: Path, key: str, item: Any) -> StoredArray:
    """Describe a dataset of an HDF5 file."""
    import h5py

    dtype = "str" if h5py.check_string_dtype(item.dtype) else item.dtype.name
    problem = ""
    if item.is_virtual or item.external:
        problem = "its numbers are in other files, which are not read"
    elif item.chunks:
        wanted = prod(
            -(-size // step) for size, step in zip(item.shape, item.chunks, strict=True)
        )
        # Others would be read as zeros, and a header may claim any number of them.
        if (there := item.id.get_num_chunks()) < wanted:
            problem = f"only {there} of its {wanted} chunks were written"
    elif prod(item.shape) and not item.id.get_storage_size():
        problem = "its numbers were not written"
    return StoredArray(path, key, item.shape, dtype, problem)


@contextmanager
def _open_hdf5(array: StoredArray, aside: Path) -> Iterator[Read]:
    with _hdf5(array.path) as file:

        def read(index: Index) -> np.ndarray:
            with _hdf5_damage(array.path):
                item = file[array.key]
                text = array.dtype == "str"
                return np.asarray((item.asstr() if text else item)[index])

        yield read
