"""A folder of our samples as videos: what was sampled, or the truth beside it."""

from dataclasses import replace
from pathlib import Path

from svtcli.evaluate.foreign.arrays import open_npy
from svtcli.evaluate.foreign.source import Videos
from svtcli.run.samples import read_samples


def open_samples(folder: Path, name: str, frames: int | None, truth: bool) -> Videos:
    """The videos of `samples.npy`, or with `truth` those of `truth.npy`.

    Errors: `Refused`, `BadData`.
    """
    # Mapped for a moment: it is here that the arrays are held against each other.
    facts = read_samples(folder, mapped=True).facts
    path = folder / ("truth.npy" if truth else "samples.npy")
    videos = open_npy(path, str(path), frames)
    return replace(videos, name=name, prime=facts.prime, facts=facts)
