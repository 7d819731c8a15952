"""Whether an array holds videos, and if not, what would make it do so.

What is wanted: uint8, `[N, T, H, W, C]` or `[N, M, T, H, W, C]`, C = 1 or 3.
"""

import tokenize
import warnings
from dataclasses import dataclass
from io import BufferedIOBase
from math import prod
from typing import IO

import numpy as np

from svtcli.failure import BadData, Refused

WANTED = "[N, T, H, W, C] or, with M continuations of each, [N, M, T, H, W, C]"
Bytes = IO[bytes] | BufferedIOBase
"""A file, or a member of an archive."""
CHANNELS = (1, 3)
LOOK = 1 << 22
"""How many bytes are looked at to say what an array of another type holds."""
MALFORMED = (
    *(ValueError, TypeError, LookupError, SyntaxError, tokenize.TokenError),
    *(EOFError, RecursionError, MemoryError, OverflowError),
)
"""What NumPy's parser of headers raises where one is damaged."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of a `.npy` say; nothing else of it is read for that."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    bytes: int
    """Its own length."""

    @property
    def size(self) -> int:
        """Bytes that the file has to have."""
        return self.bytes + prod(self.shape) * self.dtype.itemsize


def read_header(file: Bytes, where: str) -> Header:
    """The header of a `.npy`, from its start; a pickle is named and not read.

    Errors: `BadData`; `Refused` for a pickle.
    """
    start, version = file.read(6), (*file.read(2),)
    if start[:1] == b"\x80":
        raise pickled(where, "a pickle, not an array")
    if start != b"\x93NUMPY":
        what = "it is empty" if not start else "it does not start like one"
        raise BadData(f"{where}: not an array that NumPy has written ({what})")
    if len(version) < 2:
        raise damaged_header(where)
    parse = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if parse is None:
        raise BadData(f"{where}: an array of an unknown format {version}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 2, whose headers are fine
            shape, fortran, dtype = parse(file)
    except MALFORMED as error:
        raise damaged_header(where) from error
    if dtype.hasobject:
        raise pickled(where, "an array of Python objects, which is a pickle")
    if any(length < 0 for length in shape):
        raise damaged_header(where)
    return Header(shape, fortran, dtype, file.tell())


def damaged_header(where: str) -> BadData:
    """The first bytes of an array make no sense."""
    return BadData(f"{where}: its header is damaged", "write or copy it again")


def pickled(where: str, what: str) -> Refused:
    """Refuses a pickle: to read it is to run what it names."""
    return Refused(
        f"{where}: {what}; it could run any code, so it is not read",
        "save plain numbers: np.save(FILE, x) of a uint8 array x",
    )


def check_form(header: Header, file: Bytes, where: str) -> None:
    """Whether these are videos; `file` stands behind the header.

    Errors: `Refused`, with all that is wrong and what to do about it.
    """
    problems = [wrong_axes(header.shape), wrong_numbers(header.dtype, file)]
    if found := [problem for problem in problems if problem]:
        said = " and ".join(what for what, _ in found)
        raise Refused(f"{where}: {said}", "; then ".join(how for _, how in found))
    if 0 in header.shape:
        raise Refused(f"{where}: holds no pixels (its shape is {list(header.shape)})")


def wrong_axes(shape: tuple[int, ...]) -> tuple[str, str] | None:
    """What is wrong with the axes, and what to do; None where nothing is."""
    axes = len(shape)
    if axes in (5, 6) and shape[-1] in CHANNELS:
        return None
    has = f"its axes are {list(shape)}"
    for layout in ("TCHW", "CTHW"):
        if axes in (5, 6) and shape[axes - 4 + layout.index("C")] in CHANNELS:
            first = ("N", "M")[: axes - 4]
            order = [(*first, *layout).index(axis) for axis in (*first, *"THWC")]
            return (
                f"{has}, which looks like [{', '.join((*first, *layout))}]",
                f"move the channels to the end: x.transpose{tuple(order)}",
            )
    if axes in (5, 6) and shape[-1] == 4:
        return f"{has}, with an alpha channel", "keep the colours: x[..., :3]"
    if axes == 4 and shape[-1] in CHANNELS:
        return f"{has}, which looks like one video", "add an axis: x[None]"
    if axes in (4, 5):
        return (
            f"{has}, which looks like gray videos without a channel",
            "add an axis: x[..., None]",
        )
    return f"{has}, which is no set of videos", f"wanted are {WANTED}"


def wrong_numbers(dtype: np.dtype, file: Bytes) -> tuple[str, str] | None:
    """What is wrong with numbers of this type, after a look at the first of them."""
    if dtype == np.uint8:
        return None
    has = f"its numbers are {dtype.name}"
    if dtype == np.bool_:
        return has, "make it bytes: 255 * x.astype(np.uint8)"
    if dtype.kind not in "iuf":
        return f"{has}, which is no type of pixels", "wanted is uint8, 0 to 255"
    look = np.frombuffer(file.read(LOOK // dtype.itemsize * dtype.itemsize), dtype)
    if not look.size:
        return has, "wanted is uint8, 0 to 255"
    if not np.isfinite(look).all():
        what = "NaN" if np.isnan(look).any() else "infinity"
        return f"{has} with {what} among them", "find out where they come from"
    low, high = look.min(), look.max()
    return (
        f"{has}, the first of them from {low:.4g} to {high:.4g}",
        _conversion(dtype, float(low), float(high)),
    )


def _conversion(dtype: np.dtype, low: float, high: float) -> str:
    """How numbers of that range become bytes."""
    if low < -1 or high > 255 or (low < 0 and (high > 1 or dtype.kind == "i")):
        return "bring them to 0..255 first, then x.round().astype(np.uint8)"
    if dtype.kind != "f":
        return "make it bytes: x.astype(np.uint8)"
    if low < 0:
        return "make it bytes: (127.5 * (x + 1)).round().astype(np.uint8)"
    if high <= 1:
        return "make it bytes: (255 * x).round().astype(np.uint8)"
    return "make it bytes: x.round().astype(np.uint8)"
