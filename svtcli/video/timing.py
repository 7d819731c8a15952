"""Frames at a regular rate, picked by their times. Time stamps are input, not truth."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LONGEST = 10.0
"""Seconds. Where a frame would stand longer, the recording was paused or the stamp is
wrong: it stands as long as the one before it."""
SHORTEST = 1e-3
"""Seconds. Closer stamps are a muxer's repair of stamps that did not rise."""
ROUNDING = 1e-6
"""Seconds by which stamps are rounded."""


class StampsDoNotRise(Exception):
    """A frame has no time stamp, or one that is not after the frame before it."""


def by_stamp(
    stamped: Iterable[tuple[float | None, T]], rate: float
) -> Iterator[tuple[float, T]]:
    """Times of frames in seconds, by their stamps; no frame stands over `LONGEST`.

    `rate` is the one in the header, 0 if unknown. Errors: `StampsDoNotRise`.
    """
    stands, shift = 1 / max(rate, 1 / LONGEST), 0.0
    before: float | None = None
    for number, (stamp, frame) in enumerate(stamped):
        if stamp is None:
            raise StampsDoNotRise(f"frame {number} has no time stamp")
        if before is not None:
            step = stamp - before
            if step < SHORTEST - ROUNDING:
                raise StampsDoNotRise(
                    f"frame {number} is stamped {stamp:.6g} s, "
                    f"the one before it {before:.6g} s"
                )
            if step > LONGEST + ROUNDING:
                shift += stands - step
            else:
                stands = step
        yield stamp + shift, frame
        before = stamp


def nearest_in_time(timed: Iterable[tuple[float, T]], fps: float) -> Iterator[T]:
    """Items nearest to regular ticks, of items with increasing times in seconds.

    Ticks start at the first time and end at the last one. Of two items at the same
    distance, the earlier one is taken.
    """
    start, tick = 0.0, 0
    before: tuple[float, T] | None = None
    for time, item in timed:
        if before is None:
            start = time
        else:
            while start + tick / fps <= (before[0] + time) / 2:
                yield before[1]
                tick += 1
        before = (time, item)
    # Times are multiples of a coarse base: allow a tick that is only rounded past.
    while before is not None and start + tick / fps <= before[0] + 1e-3 / fps:
        yield before[1]
        tick += 1
