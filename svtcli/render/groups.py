"""What a picture shows: groups of videos that belong together, and what made them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from svtcli.run.samples import SampleFacts, Samples


@dataclass(frozen=True)
class Row:
    """One video with its name in the picture."""

    label: str
    video: UInt8[np.ndarray, "F H W C"]


@dataclass(frozen=True)
class Group:
    """Videos of one clip: the truth first, then what the model made of its start."""

    title: str
    rows: tuple[Row, ...]
    prime: int
    """How many frames were given to the model."""


def sample_groups(
    samples: Samples, clips: int, each: int | None = None
) -> tuple[Group, ...]:
    """One group for each of the first `clips` clips: truth, then its samples.

    `each` limits the samples of a clip (Fig. 13: two); None takes all.
    """
    shown = zip(samples.facts.clips, samples.truth, samples.video, strict=True)
    return tuple(
        Group(name, (_truth(truth), *_rows(videos[:each])), samples.facts.prime)
        for name, truth, videos in list(shown)[:clips]
    )


def compared_groups(
    models: Mapping[str, Samples], clips: int, each: int | None = None
) -> tuple[Group, ...]:
    """One group for each clip: truth, then what each model made of it (Fig. 4).

    All have continued the same clips. `each` samples of each are shown; None: one.
    """
    first = next(iter(models.values()))
    return tuple(
        Group(
            name,
            (
                _truth(first.truth[n]),
                *(
                    row
                    for label, samples in models.items()
                    for row in _rows(samples.video[n][: each or 1], label)
                ),
            ),
            first.facts.prime,
        )
        for n, name in enumerate(first.facts.clips[:clips])
    )


def _truth(video: UInt8[np.ndarray, "F H W C"]) -> Row:
    return Row("truth", video)


def _rows(
    videos: UInt8[np.ndarray, "M F H W C"], model: str | None = None
) -> tuple[Row, ...]:
    """Numbered, unless one video alone stands for a model."""
    if model is not None and len(videos) == 1:
        return (Row(model, videos[0]),)
    return tuple(
        Row(f"{model or 'sample'} {m}", video) for m, video in enumerate(videos, 1)
    )


def caption(facts: SampleFacts, frames: int) -> tuple[str, ...]:
    """What made the samples, fact by fact."""
    return (facts.run, *_made_by(facts), f"{facts.prime} of {frames} frames prime")


def compared_caption(models: Mapping[str, Samples]) -> tuple[str, ...]:
    """The same of several models: what is true of all, then what sets each apart."""
    *_, last = models.values()
    made = {name: (s.facts.run, *_made_by(s.facts)) for name, s in models.items()}
    of_all = [fact for fact in made[next(iter(made))] if _in_all(fact, made)]
    # A fact that is a model's very name stands beside its row already.
    own = {
        name: [fact for fact in facts if fact not in (*of_all, name)]
        for name, facts in made.items()
    }
    return (
        *of_all,
        *(f"{name}: {', '.join(facts)}" for name, facts in own.items() if facts),
        f"{last.facts.prime} of {last.video.shape[2]} frames prime",
    )


def _in_all(fact: str, made: Mapping[str, tuple[str, ...]]) -> bool:
    return all(fact in facts for facts in made.values())


def _made_by(facts: SampleFacts) -> tuple[str, ...]:
    return (
        f"step {facts.step}",
        f"temperature {facts.temperature:g}",
        *([f"top-k {facts.top_k}"] if facts.top_k is not None else []),
        *([f"top-p {facts.top_p:g}"] if facts.top_p is not None else []),
        *([facts.precision] if facts.precision != "float32" else []),
    )
