"""Videos in arrays: `.npy`, mapped for each read, and `.npz`, mapped if uncompressed.

They are uint8 `[N, T, H, W, C]` or `[N, M, T, H, W, C]`, C = 1 or 3, unless another
order of axes or range of numbers is stated; then each video is converted as it is read.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from svtcli.evaluate.foreign.videos import Pixels, Rows, Videos, common_frames
from svtcli.failure import BadData, Failure, Refused, in_words
from svtcli.run.progress import counted
from svtcli.run.samples import read_samples
from svtcli.train.memory import host_memory
from svtcli.video.array_layout import (
    BOUNDS,
    CHANNELS,
    ArrayForm,
    Axes,
    BadNumbers,
    to_pixels,
)
from svtcli.video.npy_files import (
    File,
    Header,
    mapped,
    member_start,
    open_archive,
    read_header,
)

LOOK = 1 << 22
"""Bytes of an array of another type that are read to suggest a conversion."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayVideos(Videos):
    """Videos of one array."""

    array: Callable[[], np.ndarray]
    """Returns the array, mapped or from memory."""
    axes: Axes
    range: str | None
    """Range of the numbers; None for bytes."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        # The mapping ends with this function: pages that were read do not add up to
        # the size of the file.
        array, video = self.array(), np.empty((len(rows), frames, *self.shape), "u1")
        for number, row in enumerate(rows):
            index = self.axes.index(int(row), slice(frames), continuation)
            try:
                numbers = self.axes.frames(array[index])
                video[number] = to_pixels(numbers, self.range)
            except BadNumbers as wrong:
                where = f"in frame {wrong.frame} of video {row}"
                raise BadData(f"{self.name}: {wrong} {where}", wrong.hint) from wrong
        return video


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


def open_npy(
    path: Path, name: str, frames: int | None, stated: ArrayForm | None = None
) -> ArrayVideos:
    """Open the videos of a `.npy` file. Errors: Refused, BadData."""
    stated = stated or ArrayForm()
    try:
        with path.open("rb") as file:
            header = read_header(file, name)
            _check_array(header, file, name, stated)
        length = path.stat().st_size
    except OSError as error:
        raise BadData(f"{path}: could not be read ({in_words(error)})") from error
    if length < header.size:
        raise BadData(
            f"{path}: ends early ({length} of {header.size} bytes)",
            "write or copy it again",
        )
    array = partial(mapped, path, header, header.bytes)
    return _videos(array, header, name, frames, stated)


def videos_of_array(array: np.ndarray, name: str) -> ArrayVideos:
    """Videos of an array in memory. Errors: Refused."""
    header = Header(array.shape, False, array.dtype, 0)
    few = LOOK // max(1, array.itemsize)
    _check_array(header, BytesIO(array.reshape(-1)[:few].tobytes()), name, None)
    return _videos(lambda: array, header, name, None, ArrayForm())


def open_npz(
    path: Path,
    key: str | None,
    name: str,
    frames: int | None,
    stated: ArrayForm | None = None,
) -> ArrayVideos:
    """Open the videos in the array `key` of a `.npz`; None for the only candidate.

    Errors: Refused, BadData.
    """
    stated = stated or ArrayForm()
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
            _check_array(header, file, where, stated)
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
    return _videos(array, header, name, frames, stated)


def _decompressed(path: Path, info: ZipInfo) -> np.ndarray:
    """Read a compressed array into memory. Errors: BadData."""
    with open_archive(path) as archive, archive.open(info) as file:
        return np.asarray(np.lib.format.read_array(file))


def _videos(
    array: Callable[[], np.ndarray],
    header: Header,
    name: str,
    frames: int | None,
    stated: ArrayForm,
) -> ArrayVideos:
    """Wrap an array. Errors: Refused for too few frames."""
    axes = stated.axes(header.shape)
    sizes = axes.sizes(header.shape)
    return ArrayVideos(
        name=name,
        count=sizes["N"],
        continuations=sizes["M"],
        frames=common_frames({name: sizes["T"]}, frames),
        shape=(sizes["H"], sizes["W"], sizes["C"]),
        converted=str(stated),
        array=array,
        axes=axes,
        range=stated.range,
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


class _Problem(NamedTuple):
    """A problem of an array, and what to do."""

    sentence: str
    in_numpy: str
    layout: str | None = None
    """Order of the axes that the array seems to have."""
    range: str | None = None
    """Range that the numbers seem to have."""


def _check_array(
    header: Header, file: File, where: str, stated: ArrayForm | None
) -> None:
    """Refuse an array that is not video; `file` stands behind the header.

    `stated` is None where nothing can be stated: for arrays in memory.
    """
    layout, range_ = (stated.layout, stated.range) if stated else (None, None)
    problems = [
        problem
        for problem in (
            _wrong_axes(header.shape, layout),
            _wrong_type(header.dtype, file, range_),
        )
        if problem
    ]
    if problems:
        remedy = "; then ".join(each.in_numpy for each in problems)
        if stated and all(each.layout or each.range for each in problems):
            layout = next((each.layout for each in problems if each.layout), None)
            range_ = next((each.range for each in problems if each.range), None)
            remedy = f"state it: {stated.flags(layout, range_)}"
        what = " and ".join(each.sentence for each in problems)
        raise Refused(f"{where}: {what}", remedy)
    if 0 in header.shape:
        raise Refused(f"{where}: holds no pixels (its shape is {list(header.shape)})")


def _wrong_axes(shape: tuple[int, ...], layout: str | None) -> _Problem | None:
    """Problem with the axes; None if they are right."""
    if layout:
        wrong = Axes(layout).problem(shape)
        return _Problem(wrong, "name all axes, in their order") if wrong else None
    axes, has = len(shape), f"its axes are {list(shape)}"
    if axes in (5, 6):
        if shape[-1] in CHANNELS:
            return None
        for order in ("TCHW", "CTHW"):
            if shape[axes - 4 + order.index("C")] in CHANNELS:
                found = "NM"[: axes - 4] + order
                to = [found.index(axis) for axis in "NM"[: axes - 4] + "THWC"]
                return _Problem(
                    f"{has}, which looks like [{', '.join(found)}]",
                    f"move the channels to the end: x.transpose{tuple(to)}",
                    found,
                )
        if shape[-1] == 4:
            what = f"{has}, with an alpha channel"
            return _Problem(what, "keep the colours: x[..., :3]")
    if axes == 4 and shape[-1] in CHANNELS:
        what = f"{has}, which looks like one video"
        return _Problem(what, "add an axis: x[None]", "THWC")
    for order in ("CTHW", "TCHW"):
        if axes == 4 and shape[order.index("C")] in CHANNELS:
            found = f"[{', '.join(order)}] of one video"
            axes_to = tuple(order.index(axis) for axis in "THWC")
            remedy = f"make it x.transpose{axes_to}[None]"
            return _Problem(f"{has}, which looks like {found}", remedy, order)
    if axes in (4, 5):
        return _Problem(
            f"{has}, which looks like gray videos without a channel",
            "add an axis: x[..., None]",
            "NMTHW" if axes == 5 else "NTHW",
        )
    wanted = "[N, T, H, W, C] or, with M continuations of each, [N, M, T, H, W, C]"
    return _Problem(f"{has}, which is no set of videos", f"expected: {wanted}")


def _wrong_type(dtype: np.dtype, file: File, range_: str | None) -> _Problem | None:
    """Problem with the data type or the first values; None if there is none."""
    if dtype == np.uint8 and range_ in (None, "0..255"):
        return None
    has = f"its numbers are {dtype.name}"
    if dtype.kind not in "biuf":
        expected = "expected: uint8, 0 to 255"
        return _Problem(f"{has}, which is no type of pixels", expected)
    look = np.frombuffer(file.read(LOOK // dtype.itemsize * dtype.itemsize), dtype)
    if range_:
        try:
            to_pixels(look.reshape(-1, 1, 1, 1), range_)
        except BadNumbers as wrong:
            return _Problem(f"{has}, and {wrong}", wrong.hint or "")
        return None
    if dtype == np.bool_:
        return _Problem(has, "make it bytes: 255 * x.astype(np.uint8)", range="0..1")
    if not look.size:
        return _Problem(has, "expected: uint8, 0 to 255")
    if not np.isfinite(look).all():
        what = "NaN" if np.isnan(look).any() else "infinity"
        among = f"{has} with {what} among them"
        return _Problem(among, "find out where they come from")
    low, high = float(look.min()), float(look.max())
    ranges = BOUNDS if dtype.kind == "f" else {"0..255": (0, 255)}
    found = next((name for name, (a, b) in ranges.items() if a <= low <= high <= b), "")
    remedy = {
        "": "bring them to 0..255 first, then x.round().astype(np.uint8)",
        "0..1": "make it bytes: (255 * x).round().astype(np.uint8)",
        "-1..1": "make it bytes: (127.5 * (x + 1)).round().astype(np.uint8)",
        "0..255": "make it bytes: x.round().astype(np.uint8)",
    }[found]
    if found and dtype.kind != "f":
        remedy = "make it bytes: x.astype(np.uint8)"
    what = f"{has}, the first of them from {low:.4g} to {high:.4g}"
    return _Problem(what, remedy, range=found or None)
