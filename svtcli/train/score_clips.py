"""The score of clips that are in memory, for validation; a test holds it equal to that
of `svt eval`, which reads clips batch by batch and keeps what is scored."""

from collections.abc import Callable

import numpy as np

from svtcli.clips.held_out import HeldOut, full_batches
from svtcli.model.likelihood import Score, Scorer, score


def score_clips(
    scorer: Scorer,
    held_out: HeldOut,
    prime: int,
    overlap: int,
    batch: int,
    on_slice: Callable[[], None],
    devices: int = 1,
) -> Score:
    """The score over all clips, `batch` at a time, which does not change it.

    On several devices the batch is rounded up to a multiple of them.
    """
    nats = [
        scorer.frame_nats(
            held_out.video[rows],
            prime,
            overlap,
            None if held_out.actions is None else held_out.actions[rows],
            on_slice,
        )
        for rows in full_batches(len(held_out.video), batch, devices)
    ]
    scored = np.concatenate(nats)[: len(held_out.video)]
    return score(scored, prime, scorer.config)
