"""FVD and KVD of two sets of videos: their features, by window and trial."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from svtcli.evaluate.foreign import Videos
from svtcli.evaluate.fvd.features import KEPT_TOGETHER, Features
from svtcli.evaluate.fvd.frechet import frechet
from svtcli.evaluate.fvd.protocol import Distances, distances, trial
from svtcli.failure import BadData
from svtcli.run.progress import Progress

Rows = Int[np.ndarray, " n"]


@dataclass(frozen=True)
class Part:
    """Rows of a set of videos."""

    videos: Videos
    rows: Rows


@dataclass(frozen=True)
class Measurement:
    """Which features are compared."""

    real: Part
    fake: Part
    trials: int
    per_prime: int
    window: int
    starts: tuple[int, ...]
    others: Part | None
    """Twice as many real clips as fake ones, for the floor."""

    @property
    def others_are_known(self) -> bool:
        """They are among the real clips, in order."""
        if self.others is None or self.others.videos is not self.real.videos:
            return False
        return bool(np.isin(self.others.rows, self.real.rows).all())

    @property
    def clips(self) -> int:
        """How many clips' features this takes."""
        fakes = self.trials * self.per_prime * len(self.fake.rows)
        others = 0
        if self.others is not None and not self.others_are_known:
            others = len(self.others.rows)
        return len(self.starts) * (len(self.real.rows) + fakes) + others


def measure(
    what: Measurement,
    features: Features,
    progress: Progress,
    on_clips: Callable[[int], None],
) -> tuple[Distances, float | None]:
    """All distances, and the floor: FVD of real clips against other real ones.

    `on_clips` is told of clips whose features are there, and may raise to stop: what is
    computed is kept. Errors: BadData for features that are not finite.
    """

    def of(part: Part, continuation: int = 0) -> Float32[np.ndarray, "K n D"]:
        return _features(what, part, continuation, features, on_clips)

    real = of(what.real)
    _check(real, what.real.videos)
    trials = []
    for each in range(what.trials):
        first = each * what.per_prime
        continuations = range(first, first + what.per_prime)
        fake = np.concatenate([of(what.fake, one) for one in continuations], axis=1)
        _check(fake, what.fake.videos)
        trials.append(trial(real, fake))
        so_far = distances(trials)
        progress.note(
            f"trial {each + 1} of {what.trials}: FVD "
            f"{trials[-1].windows[0].distance:.2f}, so far {so_far.fvd.mean:.2f}"
        )
    return distances(trials), _floor(what, real[0], features, on_clips)


def _floor(
    what: Measurement,
    real: Float32[np.ndarray, "n D"],
    features: Features,
    on_clips: Callable[[int], None],
) -> float | None:
    """What FVD says of two halves of real clips, as many as there are fake ones."""
    if what.others is None:
        return None
    if what.others_are_known:
        clips = real[np.searchsorted(what.real.rows, what.others.rows)]
    else:
        clips = _features(what, what.others, 0, features, on_clips, what.starts[:1])[0]
    return frechet(clips[::2], clips[1::2]).distance


def _features(
    what: Measurement,
    part: Part,
    continuation: int,
    features: Features,
    on_clips: Callable[[int], None],
    starts: tuple[int, ...] | None = None,
) -> Float32[np.ndarray, "K n D"]:
    """Features of every window; only a few videos are in memory at a time."""
    starts = what.starts if starts is None else starts
    parts = []
    for rows in in_parts(part.rows):
        video = part.videos.read(rows, continuation, starts[-1] + what.window)
        of_rows = []
        for start in starts:
            of_rows.append(features.of(video[:, start : start + what.window]))
            on_clips(len(rows))
        parts.append(np.stack(of_rows))
    return np.concatenate(parts, axis=1)


def in_parts(rows: Rows) -> Iterator[Rows]:
    """As many rows at a time as are kept together."""
    for start in range(0, len(rows), KEPT_TOGETHER):
        yield rows[start : start + KEPT_TOGETHER]


def spread_evenly(count: int, wanted: int) -> Rows:
    """Numbers of `wanted` of `count` videos, from the first to near the last."""
    return np.arange(wanted) * count // wanted


def _check(features: Float[np.ndarray, "K n D"], videos: Videos) -> None:
    """Refuse a number that would be none."""
    finite = np.isfinite(features).all(axis=(0, 2))
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise BadData(
            f"{videos.name}: features of {int((~finite).sum())} of {len(finite)} clips "
            f"are not finite, first of clip {first}",
            "use the published weights, or look for a fault of this device",
        )
