"""What every reader of clips offers: any frames of any clip of one split."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from jaxtyping import Float, Int64, UInt8

Numbers = Float[np.ndarray, "F A"]


@dataclass(frozen=True, eq=False)
class Clips(ABC):
    """The clips of one split, numbered from 0. Holds no open file: share it freely."""

    name: str
    """The dataset's folder name."""
    split: str
    shape: tuple[int, int, int]
    """Height, width, channels."""
    fingerprint: str
    """Of the split's name, of every byte it holds, and of the filter."""
    lengths: Int64[np.ndarray, " n"]
    """Frames of each clip."""
    facts: Sequence
    """`ClipFacts`: name, label and origin of each clip; read when it is asked for."""
    beside: dict[str, int]
    """Float32 numbers per frame: `actions` of a robot, `states` of its arm."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def ids(self) -> "Ids":
        """Name of each clip, unique in the dataset."""
        return Ids(self.facts)

    @property
    def action_size(self) -> int:
        """Numbers of action per frame; 0 where there are none."""
        return self.beside.get("actions", 0)

    @abstractmethod
    def read(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> UInt8[np.ndarray, "F H W C"]:
        """`frames` frames of clip `index` from `start` on; None reads to its end."""

    @abstractmethod
    def numbers(
        self, name: str, index: int, start: int = 0, frames: int | None = None
    ) -> Numbers | None:
        """What lies beside the same frames; None where the dataset has no `name`."""

    def actions(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> Numbers | None:
        """The robot's actions in the same frames, or None."""
        return self.numbers("actions", index, start, frames)

    def states(
        self, index: int, start: int = 0, frames: int | None = None
    ) -> Numbers | None:
        """Where the robot's arm was in the same frames, or None."""
        return self.numbers("states", index, start, frames)

    def count(self, index: int, start: int, frames: int | None) -> int:
        """How many frames a request means. Errors: `IndexError`."""
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        length = int(self.lengths[index])
        count = length - start if frames is None else frames
        if start < 0 or count < 0 or start + count > length:
            raise IndexError(f"frames {start}..{start + count} of {length}: {index}")
        return count


@dataclass(frozen=True)
class Ids(Sequence[str]):
    """The names of clips, read when they are asked for."""

    facts: Sequence

    def __len__(self) -> int:
        return len(self.facts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [facts.id for facts in self.facts[index]]
        return self.facts[index].id
