"""Axes and number ranges of arrays of videos: any stated order to uint8 frames.

Axes: `N` clips · `M` samples of each · `T` frames · `H` height · `W` width · `C`
channels. An array without `N` is one clip, one without `C` is gray.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from svtcli.failure import BadData, Refused
from svtcli.video.image import MOST_PIXELS

CHANNELS = (1, 3)
BOUNDS: Mapping[str, tuple[float, float]] = {
    "0..1": (0, 1),
    "-1..1": (-1, 1),
    "0..255": (0, 255),
}
"""Numbers that stand for black and for white."""

Index = tuple[int | slice, ...]


class BadNumbers(BadData):
    """Numbers that are not pixels of the stated range, or not finite."""

    def __init__(self, detail: str, frame: int, hint: str | None = None) -> None:
        super().__init__(detail, hint)
        self.frame = frame
        """Number of the frame in the array that was read."""


@dataclass(frozen=True)
class Axes:
    """Order of the axes of an array, such as `NTHWC`."""

    layout: str

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """Reason why an array of this shape does not have these axes; None if it has.

        Nothing is tried instead: an array may fit several layouts.
        """
        has, wanted = f"its shape is {list(shape)}", f"[{', '.join(self.layout)}]"
        if len(shape) != len(self.layout):
            return f"{has}, and {wanted} has {len(self.layout)} axes"
        if 0 in shape:
            return f"holds no pixels ({has})"
        sizes = self.sizes(shape)
        if sizes["C"] not in CHANNELS:
            return f"{has}, thus {sizes['C']} channels by {wanted}; expected 1 or 3"
        if sizes["H"] * sizes["W"] > MOST_PIXELS:
            pixels = f"{sizes['W']} x {sizes['H']} pixels"
            return f"{has}, thus {pixels} by {wanted}, more than {MOST_PIXELS}"
        return None

    def sizes(self, shape: tuple[int, ...]) -> dict[str, int]:
        """Length of each axis; 1 for those that the array lacks."""
        own = dict(zip(self.layout, shape, strict=True))
        return {"N": 1, "M": 1, "C": 1} | own

    def index(self, clip: int, frames: slice, sample: int = 0) -> Index:
        """Index of some frames of one clip, or of one of its samples."""
        at: dict[str, int | slice] = {"N": clip, "M": sample, "T": frames}
        return tuple(at.get(axis, slice(None)) for axis in self.layout)

    @property
    def of_values(self) -> "Axes":
        """Axes of the numbers beside each frame: those of clips and frames, and `A`."""
        return Axes("".join(axis for axis in self.layout if axis in "NT") + "A")

    def frames(self, indexed: np.ndarray) -> np.ndarray:
        """Return `[T, H, W, C]` of the numbers at an `index`."""
        order = "".join(axis for axis in self.layout if axis not in "NM")
        if "C" not in order:
            indexed, order = indexed[..., None], order + "C"
        return indexed.transpose([order.index(axis) for axis in "THWC"])


@dataclass(frozen=True)
class ArrayForm:
    """Order of the axes and range of the numbers of an array, where they are stated."""

    layout: str | None = None
    range: str | None = None
    """None for bytes (uint8)."""
    prefix: str = "--"
    """Start of the flags that state them: `--` or `--reference-`."""

    def __post_init__(self) -> None:
        """Refuse a layout that names an axis twice, or not one that it needs."""
        if self.layout is None:
            return
        named = set(self.layout)
        if not set("THW") <= named <= set("NMTHWC") or len(named) < len(self.layout):
            raise Refused(
                f"{self.prefix}layout {self.layout}: not the axes of videos",
                "name each axis once, in their order: N videos, M samples of each, T "
                "frames, H, W, C; T, H and W are needed",
            )

    def axes(self, shape: tuple[int, ...]) -> Axes:
        """Axes of an array: the stated ones, else those of svt's own samples."""
        return Axes(self.layout or ("NMTHWC" if len(shape) == 6 else "NTHWC"))

    def flags(self, layout: str | None, range_: str | None) -> str:
        """Flags that state these; empty for none."""
        stated = {"layout": layout, "range": range_}
        return " ".join(
            f"{self.prefix}{name} {value}" for name, value in stated.items() if value
        )

    def __str__(self) -> str:
        """Description of the conversion; empty where there is none."""
        rounded = f"{self.range} rounded to 0..255" if self.range else None
        return ", ".join(filter(None, (self.layout, rounded)))


def to_pixels(numbers: np.ndarray, stated: str | None) -> UInt8[np.ndarray, "T H W C"]:
    """Convert `[T, H, W, C]` to uint8 by the `stated` range; None takes bytes alone.

    Errors: `BadNumbers` for NaN and for numbers that round to a level below 0 or above
    255, with the number of the frame in this array.
    """
    if stated is None or (numbers.dtype == np.uint8 and stated == "0..255"):
        return np.ascontiguousarray(numbers, np.uint8)
    low, high = BOUNDS[stated]
    kind: Any = np.float64 if numbers.dtype.itemsize > 4 else np.float32
    with np.errstate(over="ignore", invalid="ignore"):
        levels = np.rint((numbers.astype(kind) - low) * kind(255 / (high - low)))
    # NaN compares as false.
    wrong = ~((levels >= 0) & (levels <= 255))
    if wrong.any():
        frame = int(np.flatnonzero(wrong.any(axis=(1, 2, 3)))[0])
        first = float(numbers[frame][wrong[frame]][0])
        if np.isnan(first):
            raise BadNumbers(
                "nan is not a number", frame, "find out where it comes from"
            )
        raise BadNumbers(
            f"{first:.6g} is outside of {stated}",
            frame,
            "state the range that the numbers have; where some go beyond black and "
            "white, clip them first",
        )
    return levels.astype(np.uint8)
