"""Samples whose every pixel is known, and whose no pixel is white or amber."""

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
