"""Videos in an array; that of a `.npy` is mapped for the moment of each read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from svtcli.evaluate.foreign.array_form import Header, check_form, read_header
from svtcli.evaluate.foreign.source import Pixels, Rows, Videos, common_frames
from svtcli.failure import BadData


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayVideos(Videos):
    """Videos of one array, `[N, F, H, W, C]` or `[N, M, F, H, W, C]`."""

    array: Callable[[], np.ndarray]
    """Gives the array, mapped or from memory."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        array = self.array()
        clips = array[:, continuation] if array.ndim == 6 else array
        # Only what is wanted is copied, and a mapping ends with this function: pages
        # that were read do not add up to the size of the file.
        return np.ascontiguousarray(np.asarray(clips[rows, :frames]))


def open_npy(path: Path, name: str, frames: int | None) -> ArrayVideos:
    """The videos of a `.npy` file. Errors: `Refused`, `BadData`."""
    try:
        with path.open("rb") as file:
            header = read_header(file, name)
            check_form(header, file, name)
        length = path.stat().st_size
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror})") from error
    if length < header.size:
        raise BadData(
            f"{path}: ends early ({length} of {header.size} bytes)",
            "write or copy it again",
        )
    array = partial(mapped, path, header, header.bytes)
    return of_array(array, header.shape, name, frames)


def mapped(path: Path, header: Header, start: int) -> np.ndarray:
    """The array whose numbers lie in a file from byte `start` on. Errors: `BadData`."""
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    try:
        return np.memmap(
            path, header.dtype, "r", start, shape=header.shape, order=order
        )
    except (OSError, ValueError) as error:
        raise BadData(f"{path}: has changed while it was read ({error})") from error


def of_array(
    array: Callable[[], np.ndarray],
    shape: tuple[int, ...],
    name: str,
    frames: int | None,
) -> ArrayVideos:
    """The videos of an array of this shape. Errors: `Refused` for too few frames."""
    return ArrayVideos(
        name=name,
        count=shape[0],
        continuations=shape[1] if len(shape) == 6 else 1,
        frames=common_frames({name: shape[-4]}, frames),
        shape=(shape[-3], shape[-2], shape[-1]),
        array=array,
    )
