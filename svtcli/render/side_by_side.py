"""Samples of several models that continue the same clips, side by side (Fig. 4)."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from svtcli.failure import Refused
from svtcli.run.samples import SampleFacts, Samples

HINT = "sample each from the same clips: svt sample RUN --prime P --frames F --count N"

_NAMES: tuple[Callable[[SampleFacts], str], ...] = (
    lambda facts: facts.run,
    lambda facts: f"step {facts.step}",
    lambda facts: f"temp {facts.temperature:g}",
    lambda facts: f"{facts.run}@{facts.step}",
    lambda facts: f"{facts.run}@{facts.step} temp {facts.temperature:g}",
)
"""What can tell models apart; the first that does becomes their names."""


def side_by_side(
    folders: Sequence[Path], read: Sequence[Samples]
) -> dict[str, Samples]:
    """The samples under names that tell them apart.

    Errors: Refused where they do not continue the same frames of the same clips.
    """
    for folder, samples in zip(folders[1:], read[1:], strict=True):
        if why := _difference(read[0], samples):
            raise Refused(f"{folders[0]} and {folder} cannot be compared: {why}", HINT)
    return dict(zip(model_names(folders, read), read, strict=True))


def model_names(folders: Sequence[Path], read: Sequence[Samples]) -> list[str]:
    """Short names, no two alike: of the runs, of what differs, else of the folders."""
    for name in _NAMES:
        names = [name(samples.facts) for samples in read]
        if len(set(map(file_name, names))) == len(names):
            return names
    return [f"{number}: {folder.name}" for number, folder in enumerate(folders, 1)]


def file_name(label: str) -> str:
    """`label` as a part of the name of a file."""
    return re.sub(r"[^A-Za-z0-9_.@+]+", "-", label).strip("-.") or "-"


def _difference(one: Samples, other: Samples) -> str | None:
    """Why the two do not show the same clips; None if they do."""
    (a, b), (x, y) = (one.facts, other.facts), (one.truth, other.truth)
    if a.clips != b.clips:
        if len(a.clips) != len(b.clips):
            return f"{len(a.clips)} clips and {len(b.clips)}"
        first = next(
            n
            for n, pair in enumerate(zip(a.clips, b.clips, strict=True))
            if pair[0] != pair[1]
        )
        return f"clip {first + 1} is {a.clips[first]} and {b.clips[first]}"
    if x.shape[2:] != y.shape[2:]:
        return f"frames are {_size(one)} and {_size(other)}"
    if len(x[0]) != len(y[0]):
        return f"videos have {len(x[0])} frames and {len(y[0])}"
    if a.prime != b.prime:
        return f"{a.prime} frames were given and {b.prime}"
    return None if np.array_equal(x, y) else "clips of the same names show other frames"


def _size(samples: Samples) -> str:
    *_, H, W, C = samples.truth.shape
    return f"{W}x{H} {'gray' if C == 1 else 'RGB'}"
