"""Batches for training, addressed by the training step (§4.1).

A row of a batch is a clip from a shuffled pass over all clips, cropped at random in
time, with one slice sampled uniformly. Batch `step` is a pure function of clips,
settings and step: resuming needs no iterator state, and each of several hosts reads its
own rows, equal to those that a single host would read.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import grain
import numpy as np
from jaxtyping import Float, Int32, UInt8

from svtcli.clips.reader import Clips
from svtcli.failure import BadData, Refused


@dataclass(frozen=True)
class Batch:
    """B training examples: T frames of a clip each, and the slice to be scored."""

    video: UInt8[np.ndarray, "B T H W C"]
    slice_index: Int32[np.ndarray, " B"]
    clip: Int32[np.ndarray, " B"]
    """Number of each clip in its split."""
    start: Int32[np.ndarray, " B"]
    """First frame of the crop in its clip."""
    actions: Float[np.ndarray, "B T A"] | None
    """None where the model takes none."""


@dataclass(frozen=True)
class Row:
    """One sampled example, not yet read: clip, start frame and slice."""

    clip: int
    start: int
    slice_index: int


@dataclass(frozen=True)
class Passes:
    """Endless shuffled clips: element i is in pass i // count, each in its own order.

    grain's shuffle takes milliseconds an element for small datasets.
    """

    count: int
    seed: int

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, index: int) -> int:
        number, position = divmod(int(index), self.count)
        return int(_order(self.count, self.seed, number)[position])


@dataclass(frozen=True)
class Batches:
    """Endless batches: `batches[step]`, or this host's rows of it, from step 0."""

    clips: Clips
    frames: int
    rows: grain.MapDataset
    """Row r of step n is element n * B + r."""
    size: int
    """B, examples in a batch."""
    own: Sequence[int]
    """Rows of a batch that are read here, ascending."""
    actions: bool
    """True where the model takes actions."""

    def __getitem__(self, step: int) -> Batch:
        first = step * self.size
        rows: list[Row] = [self.rows[first + row] for row in self.own]
        crops = [(row.clip, row.start, self.frames) for row in rows]
        actions = [self.clips.actions(*crop) for crop in crops if self.actions]
        return Batch(
            video=np.stack([self.clips.read(*crop) for crop in crops]),
            slice_index=np.array([row.slice_index for row in rows], np.int32),
            clip=np.array([row.clip for row in rows], np.int32),
            start=np.array([row.start for row in rows], np.int32),
            actions=np.stack([each for each in actions if each is not None])
            if self.actions
            else None,
        )

    def clip_ids(self, step: int) -> tuple[str, ...]:
        """Name the clip of each row of the global batch, also of other hosts' rows."""
        first = step * self.size
        rows = (self.rows[index] for index in range(first, first + self.size))
        return tuple(self.clips.ids[row.clip] for row in rows)


def training_batches(
    clips: Clips,
    frames: int,
    slice_choices: Sequence[Sequence[int]],
    seed: int,
    actions: bool = False,
    own: Sequence[int] | None = None,
) -> Batches:
    """Return batches of `len(slice_choices)` crops of `frames` frames (and `actions`).

    Only the rows `own` are read (None: all). Row r samples its slice uniformly from
    `slice_choices[r]`. Errors: `Refused` where a clip is shorter than `frames` (all of
    them are counted, the first one is named), `BadData` where there is no clip at all.
    """
    if not len(clips):
        raise BadData(f"{clips.name}: split '{clips.split}' holds no clips")
    short = np.flatnonzero(clips.lengths < frames).tolist()
    if short:
        raise Refused(
            f"{clips.name}: {len(short)} of {len(clips)} clips in '{clips.split}' are "
            f"shorter than the {frames} frames of the model; the first is "
            f"{clips.ids[short[0]]} with {clips.lengths[short[0]]}",
            f"prepare with frames of at least {frames}, or use a shorter model",
        )
    size = len(slice_choices)

    def crop(clip: int, rng: np.random.Generator) -> Row:
        start = int(rng.integers(clips.lengths[clip] - frames + 1))
        return Row(clip, start, int(rng.integers(2**31)))

    def choose(index: int, row: Row) -> Row:
        choices = slice_choices[index % size]
        # 2**31 draws: the excess of the first choices is below 1e-6 for 2000 slices.
        return Row(row.clip, row.start, choices[row.slice_index % len(choices)])

    numbers = grain.MapDataset.source(Passes(len(clips), seed)).seed(seed)
    rows = numbers.random_map(crop).map_with_index(choose)
    return Batches(clips, frames, rows, size, own or range(size), actions)


def prefetch(
    batches: Batches, start_step: int, depth: int = 2
) -> Generator[Batch, None, None]:
    """Yield `batches[start_step]` and the following ones, read ahead by one thread.

    At most `depth` batches wait in memory. An error in the thread is raised here, at
    the step it belongs to.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="svt-batches")
    try:
        steps = count(start_step)
        ahead = deque(
            pool.submit(batches.__getitem__, next(steps)) for _ in range(depth)
        )
        while True:
            batch = ahead.popleft().result()
            ahead.append(pool.submit(batches.__getitem__, next(steps)))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=4)
def _order(count: int, seed: int, number: int) -> np.ndarray:
    """Order of pass `number`, from raw bits, which no version of numpy changes."""
    key = np.array([seed % 2**64, number], np.uint64)
    return np.argsort(np.random.Philox(key=key).random_raw(count), kind="stable")
