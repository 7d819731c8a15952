"""Samples whose every pixel is known, and whose no pixel is white or amber."""

from dataclasses import replace
from typing import Any

import numpy as np

from svtcli.run.samples import SampleFacts, Samples


def made_up_samples(
    clips: int = 2,
    each: int = 3,
    frames: int = 7,
    size: tuple[int, int] = (12, 20),
    channels: int = 3,
    prime: int = 2,
) -> Samples:
    """Random pixels below 200; the prime frames of samples are the truth's."""
    rng = np.random.default_rng(clips + frames)
    truth = rng.integers(0, 200, (clips, frames, *size, channels), np.uint8)
    shape = (clips, each, frames, *size, channels)
    video = rng.integers(0, 200, shape, np.uint8)
    video[:, :, :prime] = truth[:, None, :prime]
    facts = SampleFacts(
        run="walk",
        step=300,
        prime=prime,
        frames=frames,
        overlap=prime,
        temperature=0.9,
        seed=0,
        schedule="sequential",
        split="test",
        clips=tuple(f"clip-{n}" for n in range(clips)),
    )
    log_prob = np.zeros(video.shape[:3], np.float32)
    return Samples(video, truth, log_prob, facts)


def made_up_actions(
    sets: tuple[str, ...] = ("own", "zero"),
    each: int = 2,
    numbers: int = 2,
    **shape: Any,
) -> Samples:
    """The same under sets of actions: the clip's point right, 2 long; later ones are 0.

    `each` samples of a clip in all.
    """
    samples = made_up_samples(each=each, **shape)
    N, _, F = samples.video.shape[:3]
    truth = np.zeros((N, F, numbers), np.float32)
    truth[..., 0] = 2.0
    followed = np.repeat(truth[:, None], len(sets), 1)
    followed[:, 1:, samples.facts.prime :] = 0
    facts = replace(samples.facts, actions=sets, action_sets=sets)
    return replace(samples, facts=facts, actions=followed, truth_actions=truth)
