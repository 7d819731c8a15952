"""Prepared clips as a mapping of splits to sequences of clips, opened when needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxtyping import Float32, UInt8
from numpy import ndarray

from svtcli.clips.format import ClipFacts, read_manifest
from svtcli.clips.reader import Clips, OnDemand, open_clips


@dataclass(frozen=True, eq=False, repr=False)
class Clip:
    """One clip; its arrays are read from the disk each time that they are asked for."""

    clips: Clips
    """All clips of its split."""
    number: int
    """Its number in the split, from 0."""

    def __len__(self) -> int:
        return int(self.clips.lengths[self.number])

    def __repr__(self) -> str:
        H, W, C = self.clips.shape
        return f"<clip {self.id}: {len(self)} frames of {H}x{W}x{C}>"

    @property
    def frames(self) -> UInt8[ndarray, "F H W C"]:
        """Pixels. Errors: BadData for bytes that have changed."""
        return self.clips.read(self.number)

    @property
    def actions(self) -> Float32[ndarray, "F A"] | None:
        """Action of each frame; None where there are none."""
        return self.clips.actions(self.number)

    @property
    def states(self) -> Float32[ndarray, "F A"] | None:
        """Position of the robot's arm in each frame; None where it is not known."""
        return self.clips.states(self.number)

    @property
    def facts(self) -> ClipFacts:
        """Name, source, first frame and label, as prepared."""
        facts: ClipFacts = self.clips.facts[self.number]
        return facts

    @property
    def id(self) -> str:
        """Name, unique in the dataset."""
        return self.facts.id

    @property
    def label(self) -> str | None:
        """Class of the source video, such as Kinetics' `baking cookies`."""
        return self.facts.label


class Splits(dict[str, Sequence[Clip]]):
    """Clips of each split, by its name; an unknown one is Refused."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest; a split is opened when a clip of it is asked for.

        Errors: Refused where there are no clips; BadData.
        """
        splits = read_manifest(folder).splits
        super().__init__(
            (name, _clips(folder, name, splits[name].clips)) for name in splits
        )
        self.folder = folder

    def __missing__(self, split: str) -> Sequence[Clip]:
        open_clips(self.folder, split)  # refuses it
        raise KeyError(split)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {len(clips)}" for name, clips in self.items())
        return f"<clips in {self.folder}: {counts}>"


def _clips(folder: Path, split: str, count: int) -> Sequence[Clip]:
    opened = cache(lambda: open_clips(folder, split))
    return OnDemand(count, lambda number: Clip(opened(), number))
