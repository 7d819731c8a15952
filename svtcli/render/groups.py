"""Contents of a picture: groups of videos of one clip, and the facts of its caption.

Samples of several models that continue the same clips stand side by side (Fig. 4).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from svtcli.failure import Refused
from svtcli.run.directory import RunFolder, run_of_samples
from svtcli.run.samples import SampleFacts, Samples

TRUTH = "ground truth"
HINT = "sample each from the same clips: svt sample RUN --prime P --frames F --count N"

_NAMES: tuple[Callable[[SampleFacts], str], ...] = (
    lambda facts: facts.run,
    lambda facts: f"step {facts.step}",
    lambda facts: f"temp {facts.temperature:g}",
    lambda facts: f"{facts.run}@{facts.step}",
    lambda facts: f"{facts.run}@{facts.step} temp {facts.temperature:g}",
)
"""Possible names of models; the first kind that tells them apart is taken."""


@dataclass(frozen=True)
class Row:
    """One video with its name in the picture."""

    label: str
    video: UInt8[np.ndarray, "F H W C"]


@dataclass(frozen=True)
class Group:
    """Videos of one clip: the ground truth first, then samples that continue it."""

    title: str
    rows: tuple[Row, ...]
    prime: int
    """Number of prime frames."""


def groups_of(
    models: Mapping[str, Samples], clips: int, each: int | None = None
) -> tuple[Group, ...]:
    """One group for each of the first `clips` clips: ground truth, then samples.

    `each` limits the samples of a clip (Fig. 13: two); None takes all of a single
    model, and one of each of several, which have continued the same clips.
    """
    first = next(iter(models.values()))
    several = len(models) > 1
    shown = each or (1 if several else None)
    return tuple(
        Group(
            name,
            (
                Row(TRUTH, first.truth[n]),
                *(
                    row
                    for label, samples in models.items()
                    for row in _rows(samples.video[n][:shown], several, label)
                ),
            ),
            first.facts.prime,
        )
        for n, name in enumerate(first.facts.clips[:clips])
    )


def _rows(
    videos: UInt8[np.ndarray, "M F H W C"], several: bool, model: str
) -> tuple[Row, ...]:
    """Numbered, unless one video alone stands for a model."""
    if several and len(videos) == 1:
        return (Row(model, videos[0]),)
    name = model if several else "sample"
    return tuple(Row(f"{name} {m}", video) for m, video in enumerate(videos, 1))


def caption(models: Mapping[str, Samples]) -> tuple[str, ...]:
    """Runs, steps and sampling rules: the facts of all, then each model's own."""
    *_, last = models.values()
    facts = {
        name: (s.facts.run, f"step {s.facts.step}", *s.facts.sampling_rule)
        for name, s in models.items()
    }
    every = set.intersection(*map(set, facts.values()))
    common = [fact for fact in next(iter(facts.values())) if fact in every]
    # A fact that is a model's very name stands beside its row already.
    own = {
        name: [fact for fact in each if fact not in (*common, name)]
        for name, each in facts.items()
    }
    prime, frames = last.facts.prime, last.video.shape[2]
    return (
        *common,
        *(f"{name}: {', '.join(each)}" for name, each in own.items() if each),
        f"{prime} prime frame{'s' if prime > 1 else ''}, {frames - prime} sampled",
    )


def frames_shown(times: Sequence[int], frames: int) -> tuple[str, ...]:
    """Selection of frames in words, where it is not all of them."""
    if len(times) == frames:
        return ()
    if len(times) > 1:
        every = times[1] - times[0]
        if list(times) == list(range(0, frames, every)):
            return (f"every {_ordinal(every)} frame",)
    return (f"{len(times)} of {frames} frames shown",)


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


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


def runs_of(folders: Sequence[Path]) -> tuple[RunFolder, ...]:
    """The runs that the samples lie in, each once."""
    found = [run for folder in folders if (run := run_of_samples(folder))]
    return tuple({run.path.resolve(): run for run in found}.values())


def model_names(folders: Sequence[Path], read: Sequence[Samples]) -> list[str]:
    """Short, distinct names: of the runs, of their difference, else of the folders."""
    for name in _NAMES:
        names = [name(samples.facts) for samples in read]
        if len(set(map(file_name, names))) == len(names):
            return names
    return [f"{number}: {folder.name}" for number, folder in enumerate(folders, 1)]


def file_name(label: str) -> str:
    """`label` as a part of the name of a file."""
    return re.sub(r"[^A-Za-z0-9_.@+]+", "-", label).strip("-.") or "-"


def _difference(one: Samples, other: Samples) -> str | None:
    """The reason why the two do not show the same clips; None if they do."""
    (a, b), (x, y) = (one.facts, other.facts), (one.truth, other.truth)
    if len(a.clips) != len(b.clips):
        return f"{len(a.clips)} clips and {len(b.clips)}"
    for number, (mine, theirs) in enumerate(zip(a.clips, b.clips, strict=True), 1):
        if mine != theirs:
            return f"clip {number} is {mine} and {theirs}"
    if x.shape[2:] != y.shape[2:]:
        return f"frames are {_size(one)} and {_size(other)}"
    if len(x[0]) != len(y[0]):
        return f"videos have {len(x[0])} frames and {len(y[0])}"
    if a.prime != b.prime:
        return f"{a.prime} prime frames and {b.prime}"
    return None if np.array_equal(x, y) else "clips of the same names show other frames"


def _size(samples: Samples) -> str:
    *_, H, W, C = samples.truth.shape
    return f"{W}x{H} {'gray' if C == 1 else 'RGB'}"
