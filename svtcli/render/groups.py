"""Contents of a picture: groups of videos of one clip, and the facts of its caption.

Samples of several models that continue the same clips stand side by side (Fig. 4).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from svtcli.failure import Refused
from svtcli.recipe.schema import OWN
from svtcli.render.grid import Arrow
from svtcli.render.titles import titles
from svtcli.run.directory import RunFolder, run_of_samples
from svtcli.run.names import shortened
from svtcli.run.progress import counted
from svtcli.run.samples import SampleFacts, Samples

TRUTH = "ground truth"
MEANING = {
    OWN: "own: the clip's actions",
    "zero": "zero: no action",
    "reverse": "reverse: the clip's actions negated",
    "swap": "swap: the next clip's actions",
}
"""Captions of the sets of actions by rule."""
HINT = "sample each from the same clips: svt sample RUN --prime P --frames F --count N"

LONGEST, LONGEST_FILE = 40, 80
"""Letters of a name in a picture, and of the name of a file or folder made of names."""

_NAMES: tuple[Callable[[SampleFacts], str], ...] = (
    lambda facts: shortened(facts.run, LONGEST),
    lambda facts: f"step {facts.step}",
    lambda facts: f"temp {facts.temperature:g}",
    lambda facts: " ".join(_sets(facts)),
    lambda facts: f"{shortened(facts.run, LONGEST)}@{facts.step}",
    lambda facts: (
        f"{shortened(facts.run, LONGEST)}@{facts.step} temp {facts.temperature:g}"
    ),
)
"""Possible names of models; the first kind that tells them apart is taken."""


@dataclass(frozen=True)
class Row:
    """One video with its name in the picture."""

    label: str
    video: UInt8[np.ndarray, "F H W C"]
    arrows: tuple[Arrow, ...] = ()
    """Action of each frame, the longest of all with length 1; () to draw none."""


@dataclass(frozen=True)
class Group:
    """Videos of one clip: the ground truth first, then samples that continue it."""

    title: str
    rows: tuple[Row, ...]
    prime: int
    """Number of prime frames."""

    @property
    def arrows(self) -> bool:
        """Actions are drawn below the frames."""
        return bool(self.rows[0].arrows)


def groups_of(
    models: Mapping[str, Samples],
    clips: int,
    each: int | None = None,
    arrows: bool = False,
) -> tuple[Group, ...]:
    """One group for each of the first `clips` clips: ground truth, then samples.

    `each` limits the samples of a clip under one set of actions (Fig. 13: two); None
    takes all of a single model, and one of each of several, which have continued the
    same clips. `arrows` shows the actions that the videos follow.
    """
    first = next(iter(models.values()))
    shown = tuple(_shown(models, each))
    longest = _longest(models.values()) if arrows else None
    return tuple(
        Group(
            title,
            (
                Row(
                    _truth_label(first, n),
                    first.truth[n],
                    _arrows(first.truth_actions, longest, n),
                ),
                *(
                    Row(label, own.video[n, m], _arrows(own.actions, longest, n, s))
                    for own, label, s, m in shown
                ),
            ),
            first.facts.prime,
        )
        for n, title in enumerate(titles(first.facts.clips[:clips]))
    )


def _truth_label(samples: Samples, clip: int) -> str:
    """Label of the ground truth, which may end before the samples do."""
    facts = samples.facts
    if not facts.truth_frames or (there := facts.truth_frames[clip]) >= facts.frames:
        return TRUTH
    return f"{TRUTH}, {counted(there, 'frame')}"


def _shown(
    models: Mapping[str, Samples], most: int | None
) -> Iterator[tuple[Samples, str, int, int]]:
    """Label, set of actions and number of each sample of a clip that is shown.

    Numbered, unless one alone stands for a model or a set. Models that are named by
    their sets of actions need no other name, if no set is there twice.
    """
    several = len(models) > 1
    names = [name for each in models.values() for name in _sets(each.facts)]
    joined = [" ".join(_sets(each.facts)) for each in models.values()]
    by_sets = several and [*models] == joined and len({*names}) == len(names)
    for model, samples in models.items():
        sets = _sets(samples.facts)
        per_set = samples.video.shape[1] // len(sets)
        count = min(per_set, most or (1 if several else per_set))
        for s, name in enumerate(sets):
            named = by_sets or not samples.facts.own_actions
            words = model if several and not by_sets else "", name if named else ""
            label = " ".join(filter(None, words))
            for m in range(count):
                number = f" {m + 1}" if count > 1 else ""
                yield samples, f"{label or 'sample'}{number}", s, s * per_set + m


def _sets(facts: SampleFacts) -> tuple[str, ...]:
    """Names of sets of actions; the clips' own one without actions."""
    return tuple(shortened(name, LONGEST) for name in facts.action_sets) or (OWN,)


def _longest(models: Iterable[Samples]) -> float:
    """Length of the longest arrow."""
    return max(
        float(np.hypot(*_pairs(actions).T).max())
        for samples in models
        for actions in (samples.actions, samples.truth_actions)
        if actions is not None
    )


def _pairs(actions: Float32[np.ndarray, "*any A"]) -> Float32[np.ndarray, "n 2"]:
    """Rightward and upward part: the first number and, if there is one, the second."""
    first = actions.reshape(-1, actions.shape[-1])[:, :2]
    return np.pad(first, ((0, 0), (0, 2 - first.shape[1])))


def _arrows(
    actions: Float32[np.ndarray, "..."] | None, longest: float | None, *row: int
) -> tuple[Arrow, ...]:
    """Arrows of a row of `actions`; () without a `longest` one."""
    if actions is None or longest is None:
        return ()
    scaled = _pairs(actions[row]) / (longest or 1)
    return tuple((right, up) for right, up in scaled.tolist())


def caption(models: Mapping[str, Samples], arrows: bool = False) -> tuple[str, ...]:
    """Runs, steps and sampling rules: the facts of all, then each model's own."""
    *_, last = models.values()
    facts = {
        name: (
            shortened(s.facts.run, LONGEST),
            f"step {s.facts.step}",
            *s.facts.sampling_rule,
        )
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
        f"{counted(prime, 'prime frame')}, {frames - prime} sampled",
        *_about_actions(models.values(), arrows),
    )


def _about_actions(models: Iterable[Samples], arrows: bool) -> Iterator[str]:
    """Meaning of the names of sets of actions, and of the arrows."""
    sets = dict.fromkeys(name for each in models for name in each.facts.action_sets)
    if {*sets} - {OWN}:
        yield from (MEANING[name] for name in sets if name in MEANING)
    if arrows:
        sizes = [each.actions.shape[-1] for each in models if each.actions is not None]
        size = max(sizes)
        of = "" if size < 3 else f"the first two of {size} numbers of "
        yield f"arrows: {of}each frame's action"


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
    return [
        f"{number}: {shortened(folder.name, LONGEST)}"
        for number, folder in enumerate(folders, 1)
    ]


def file_name(label: str) -> str:
    """`label` as a part of the name of a file."""
    plain = re.sub(r"[^A-Za-z0-9_.@+]+", "-", label).strip("-.") or "-"
    return shortened(plain, LONGEST_FILE)


def _difference(one: Samples, other: Samples) -> str | None:
    """The reason why the two do not show the same clips; None if they do."""
    (a, b), (x, y) = (one.facts, other.facts), (one.truth, other.truth)
    if len(a.clips) != len(b.clips):
        return f"{counted(len(a.clips), 'clip')} and {len(b.clips)}"
    for number, (mine, theirs) in enumerate(zip(a.clips, b.clips, strict=True), 1):
        if mine != theirs:
            return f"clip {number} is {mine} and {theirs}"
    if x.shape[2:] != y.shape[2:]:
        return f"frames are {_size(one)} and {_size(other)}"
    if len(x[0]) != len(y[0]):
        return f"videos have {counted(len(x[0]), 'frame')} and {len(y[0])}"
    if a.prime != b.prime:
        return f"{a.prime} prime frames and {b.prime}"
    return None if np.array_equal(x, y) else "clips of the same names show other frames"


def _size(samples: Samples) -> str:
    *_, H, W, C = samples.truth.shape
    return f"{W}x{H} {'gray' if C == 1 else 'RGB'}"
