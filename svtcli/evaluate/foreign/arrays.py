"""Videos in arrays: `.npy`, mapped for each read, and `.npz`, mapped if uncompressed.

Accepted are uint8 arrays `[N, T, H, W, C]` or `[N, M, T, H, W, C]`, C = 1 or 3.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from svtcli.evaluate.foreign.videos import Pixels, Rows, Videos, common_frames
from svtcli.failure import BadData, Failure, Refused, in_words
from svtcli.run.progress import counted
from svtcli.run.samples import read_samples
from svtcli.train.memory import host_memory
from svtcli.video.npy_files import (
    File,
    Header,
    mapped,
    member_start,
    open_archive,
    read_header,
)

CHANNELS = (1, 3)
LOOK = 1 << 22
"""Bytes of an array of another type that are read to suggest a conversion."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayVideos(Videos):
    """Videos of one array, `[N, F, H, W, C]` or `[N, M, F, H, W, C]`."""

    array: Callable[[], np.ndarray]
    """Returns the array, mapped or from memory."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        array = self.array()
        clips = array[:, continuation] if array.ndim == 6 else array
        # Only the result is copied, and the mapping ends with this function: pages
        # that were read do not add up to the size of the file.
        return np.ascontiguousarray(np.asarray(clips[rows, :frames]))


def open_samples(folder: Path, name: str, frames: int | None, truth: bool) -> Videos:
    """Open `samples.npy` of a folder of samples, or `truth.npy`.

    Errors: Refused, BadData.
    """
    # Mapped for a moment: it checks that the arrays fit together.
    facts = read_samples(folder, mapped=True).facts
    if truth and (known := min(facts.truth_frames, default=facts.frames)) < (
        frames or facts.frames
    ):
        raise Refused(
            f"{name}: ground truth of {counted(known, 'frame')}, and samples of "
            f"{facts.frames}",
            f"compare the first frames alone (--frames {known}), or with other clips: "
            "--reference CLIPS",
        )
    path = folder / ("truth.npy" if truth else "samples.npy")
    videos = open_npy(path, str(path), frames)
    return replace(videos, name=name, prime=facts.prime, facts=facts)


def open_npy(path: Path, name: str, frames: int | None) -> ArrayVideos:
    """Open the videos of a `.npy` file. Errors: Refused, BadData."""
    try:
        with path.open("rb") as file:
            header = read_header(file, name)
            _check_array(header, file, name)
        length = path.stat().st_size
    except OSError as error:
        raise BadData(f"{path}: could not be read ({in_words(error)})") from error
    if length < header.size:
        raise BadData(
            f"{path}: ends early ({length} of {header.size} bytes)",
            "write or copy it again",
        )
    return _videos(partial(mapped, path, header, header.bytes), header, name, frames)


def videos_of_array(array: np.ndarray, name: str) -> ArrayVideos:
    """Videos of an array in memory. Errors: Refused."""
    header = Header(array.shape, False, array.dtype, 0)
    few = LOOK // max(1, array.itemsize)
    _check_array(header, BytesIO(array.reshape(-1)[:few].tobytes()), name)
    return _videos(lambda: array, header, name, None)


def open_npz(path: Path, key: str | None, name: str, frames: int | None) -> ArrayVideos:
    """Open the videos in the array `key` of a `.npz`; None for the only candidate.

    Errors: Refused, BadData.
    """
    with open_archive(path) as archive:
        members = {
            info.filename.removesuffix(".npy"): info for info in archive.infolist()
        }
        if not members:
            raise Refused(f"{path}: holds no array")
        key = _only_candidate(path, archive, members) if key is None else key
        if key not in members:
            raise Refused(
                f"{path}: holds no array {key!r}", f"it has {', '.join(members)}"
            )
        where, info = f"{path}:{key}", members[key]
        with archive.open(info) as file:
            header = read_header(file, where)
            _check_array(header, file, where)
        start = member_start(path, info, header, where)
        array: Callable[[], np.ndarray] = partial(mapped, path, header, start)
        if info.compress_type != ZIP_STORED:
            if header.size > host_memory() // 2:
                raise Refused(
                    f"{where}: {header.size:,} bytes when it is decompressed, more "
                    "than half of this machine's memory",
                    "save it with np.savez, which does not compress: it is mapped then",
                )
            # Only once everything that the header tells has been compared.
            array = cache(partial(_decompressed, path, info))
    return _videos(array, header, name, frames)


def _decompressed(path: Path, info: ZipInfo) -> np.ndarray:
    """Read a compressed array into memory. Errors: BadData."""
    with open_archive(path) as archive, archive.open(info) as file:
        return np.asarray(np.lib.format.read_array(file))


def _videos(
    array: Callable[[], np.ndarray], header: Header, name: str, frames: int | None
) -> ArrayVideos:
    """Wrap an array. Errors: Refused for too few frames."""
    shape = header.shape
    return ArrayVideos(
        name=name,
        count=shape[0],
        continuations=shape[1] if len(shape) == 6 else 1,
        frames=common_frames({name: shape[-4]}, frames),
        shape=(shape[-3], shape[-2], shape[-1]),
        array=array,
    )


def _only_candidate(path: Path, archive: ZipFile, members: dict[str, ZipInfo]) -> str:
    """Name of the one array that may hold videos. Errors: Refused if there are more."""
    if len(members) == 1:
        return next(iter(members))
    headers: dict[str, Header | None] = {}
    for key, info in members.items():
        try:
            with archive.open(info) as file:
                headers[key] = read_header(file, info.filename)
        except Failure:
            headers[key] = None
    # Arrays of any type count: uint8 truth must not pass for samples that are float.
    candidates = [
        key for key, header in headers.items() if header and len(header.shape) in (5, 6)
    ]
    if len(candidates) != 1:
        listed = ", ".join(
            f"{key} {header.dtype} {list(header.shape)}" if header else key
            for key, header in headers.items()
        )
        raise Refused(f"{path}: several arrays: {listed}", f"name one: {path}:KEY")
    return candidates[0]


def _check_array(header: Header, file: File, where: str) -> None:
    """Refuse an array that is not video; `file` stands behind the header."""
    problems = [
        problem
        for problem in (_wrong_axes(header.shape), _wrong_type(header.dtype, file))
        if problem
    ]
    if problems:
        what, remedy = zip(*problems, strict=True)
        raise Refused(f"{where}: {' and '.join(what)}", "; then ".join(remedy))
    if 0 in header.shape:
        raise Refused(f"{where}: holds no pixels (its shape is {list(header.shape)})")


def _wrong_axes(shape: tuple[int, ...]) -> tuple[str, str] | None:
    """Problem with the axes, and its remedy; None if they are right."""
    axes, has = len(shape), f"its axes are {list(shape)}"
    if axes in (5, 6):
        if shape[-1] in CHANNELS:
            return None
        for layout in ("TCHW", "CTHW"):
            if shape[axes - 4 + layout.index("C")] in CHANNELS:
                first = ("N", "M")[: axes - 4]
                order = [(*first, *layout).index(axis) for axis in (*first, *"THWC")]
                return (
                    f"{has}, which looks like [{', '.join((*first, *layout))}]",
                    f"move the channels to the end: x.transpose{tuple(order)}",
                )
        if shape[-1] == 4:
            return f"{has}, with an alpha channel", "keep the colours: x[..., :3]"
    if axes == 4 and shape[-1] in CHANNELS:
        return f"{has}, which looks like one video", "add an axis: x[None]"
    if axes in (4, 5):
        return (
            f"{has}, which looks like gray videos without a channel",
            "add an axis: x[..., None]",
        )
    wanted = "[N, T, H, W, C] or, with M continuations of each, [N, M, T, H, W, C]"
    return f"{has}, which is no set of videos", f"expected: {wanted}"


def _wrong_type(dtype: np.dtype, file: File) -> tuple[str, str] | None:
    """Problem with the data type, and its remedy after a look at the first values."""
    if dtype == np.uint8:
        return None
    has = f"its numbers are {dtype.name}"
    if dtype == np.bool_:
        return has, "make it bytes: 255 * x.astype(np.uint8)"
    if dtype.kind not in "iuf":
        return f"{has}, which is no type of pixels", "expected: uint8, 0 to 255"
    look = np.frombuffer(file.read(LOOK // dtype.itemsize * dtype.itemsize), dtype)
    if not look.size:
        return has, "expected: uint8, 0 to 255"
    if not np.isfinite(look).all():
        what = "NaN" if np.isnan(look).any() else "infinity"
        return f"{has} with {what} among them", "find out where they come from"
    low, high = float(look.min()), float(look.max())
    if low < -1 or high > 255 or (low < 0 and (high > 1 or dtype.kind == "i")):
        remedy = "bring them to 0..255 first, then x.round().astype(np.uint8)"
    elif dtype.kind != "f":
        remedy = "make it bytes: x.astype(np.uint8)"
    elif low < 0:
        remedy = "make it bytes: (127.5 * (x + 1)).round().astype(np.uint8)"
    elif high <= 1:
        remedy = "make it bytes: (255 * x).round().astype(np.uint8)"
    else:
        remedy = "make it bytes: x.round().astype(np.uint8)"
    return f"{has}, the first of them from {low:.4g} to {high:.4g}", remedy
