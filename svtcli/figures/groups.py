"""What a picture shows: groups of videos that belong together, and what made them."""

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


def sample_groups(samples: Samples, clips: int) -> tuple[Group, ...]:
    """One group for each of the first `clips` clips: truth, then its samples."""
    shown = zip(samples.facts.clips, samples.truth, samples.video, strict=True)
    return tuple(
        Group(name, (Row("truth", truth), *_sample_rows(videos)), samples.facts.prime)
        for name, truth, videos in list(shown)[:clips]
    )


def _sample_rows(videos: UInt8[np.ndarray, "M F H W C"]) -> tuple[Row, ...]:
    return tuple(Row(f"sample {m}", video) for m, video in enumerate(videos, start=1))


def caption(facts: SampleFacts, frames: int) -> tuple[str, ...]:
    """What made the samples, fact by fact."""
    return (
        facts.run,
        f"step {facts.step}",
        f"temperature {facts.temperature:g}",
        *([f"top-k {facts.top_k}"] if facts.top_k is not None else []),
        *([f"top-p {facts.top_p:g}"] if facts.top_p is not None else []),
        *([facts.precision] if facts.precision != "float32" else []),
        f"{facts.prime} of {frames} frames prime",
    )
