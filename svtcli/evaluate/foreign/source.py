"""What every source of videos offers: any clips of it, their first frames."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from svtcli.failure import Refused
from svtcli.run.samples import SampleFacts

Rows = Int[np.ndarray, " n"]
Pixels = UInt8[np.ndarray, "n F H W C"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Videos(ABC):
    """N videos of F frames, perhaps M continuations of each, numbered from 0.

    Holds no open file and no pixels that a file can give again: share it freely.
    """

    name: str
    """What the user called it."""
    count: int
    """N, at least 1."""
    continuations: int = 1
    """M of each video; 1 where there is no such axis."""
    frames: int
    """F of each; those that were asked for where the source has more."""
    shape: tuple[int, int, int]
    """Height, width, channels; there are 1 or 3 channels."""
    prime: int | None = None
    """How many frames were given to the model, where the source says so."""
    lossy: bool = False
    """Whether what it lies in has changed the pixels."""
    passed_over: int = 0
    """Videos that the source has beside these, but too short."""
    facts: SampleFacts | None = None
    """What made the samples, where the source says so."""

    def read(
        self, rows: Rows, continuation: int = 0, frames: int | None = None
    ) -> Pixels:
        """The first `frames` frames of these rows; None reads all F.

        Errors: `IndexError` for what the source does not have, `BadData` for what
        cannot be read.
        """
        wanted = self.frames if frames is None else frames
        if not 0 <= continuation < self.continuations:
            raise IndexError(f"continuation {continuation} of {self.continuations}")
        if not 0 <= wanted <= self.frames:
            raise IndexError(f"{wanted} frames of {self.frames}")
        if rows.size and not 0 <= rows.min() <= rows.max() < self.count:
            raise IndexError(f"videos {rows.min()}..{rows.max()} of {self.count}")
        return self._read(rows, continuation, wanted)

    @abstractmethod
    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        """What `read` promises, of rows and frames that are there."""


def common_frames(lengths: Mapping[str, int], wanted: int | None) -> int:
    """How many frames to keep of each video: `wanted`, else as the shortest has.

    Errors: `Refused`, naming the first video that has fewer than `wanted`.
    """
    for where, has in lengths.items():
        if wanted is not None and has < wanted:
            raise Refused(f"{where}: {has} frames; {wanted} are wanted of each video")
    return min(lengths.values()) if wanted is None else wanted


def refused_lossy(path: Path) -> Refused:
    """Why a file that may have changed its pixels is no source of numbers."""
    return Refused(
        f"{path}: lossy; FVD of re-encoded video has been wrong by a factor of ten",
        "score lossless frames (PNG) or arrays (.npy), or say --allow-lossy",
    )
