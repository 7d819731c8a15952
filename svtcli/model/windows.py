"""Windows of a video longer than the model's own, and the slices of each (model.md).

A window of T frames primed on its first frames gives the others; its last `overlap`
frames prime the next window. A window that would overrun moves back to end on the last
frame. A model whose slices are single frames moves on by one frame, so that each new
frame is the last slice of its window. No JAX here: plans and estimates follow it too.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from svtcli.failure import Refused
from svtcli.recipe.model import Model
from svtcli.run.progress import counted


@dataclass(frozen=True)
class Window:
    """Frames `start` … `start + T` of a video."""

    start: int
    prime: int
    """First frames of the window, already known."""
    stop: int
    """End of the window's frames that are sampled or scored: `prime … stop`."""


@dataclass(frozen=True)
class Pass:
    """One slice of one window, to be sampled or scored."""

    window: Window
    index: int
    """Number of the slice."""
    first: bool
    """The slice has the first-slice decoder (§4.3)."""
    frames: tuple[int, ...]
    """Frames of the video that the slice holds."""

    @property
    def prime_frames(self) -> int:
        """Frames of the slice that are known before the pass."""
        known = self.window.start + self.window.prime
        return sum(frame < known for frame in self.frames)


def passes(config: Model, frames: int, prime: int, overlap: int) -> Iterator[Pass]:
    """Every slice of every window that gives frames `prime … frames`, in order.

    The one walk over a video: samples, likelihoods and estimates follow it. Errors:
    Refused, as `check_lengths`.
    """
    held = frames_of_slices(config)
    for window in windows(config, frames, prime, overlap):
        for index in scored_slices(config, window.prime, window.stop):
            yield Pass(
                window,
                index,
                first=index == 0 and config.first_slice_layers is not None,
                frames=tuple(int(frame) for frame in window.start + held[index]),
            )


def count_passes(
    config: Model, frames: int, prime: int, overlap: int
) -> Counter[tuple[bool, int]]:
    """Number of `passes` by their `first` and `prime_frames`, without walking them.

    Windows repeat: only the first and the last differ. Errors: Refused, as
    `check_lengths`.
    """
    held, found = frames_of_slices(config), Counter[tuple[bool, int]]()
    every = windows(config, frames, prime, overlap)
    alike = Counter((window.prime, window.stop) for window in every)
    for (known, stop), count in alike.items():
        numbers = np.array(scored_slices(config, known, stop))
        primes = (held[numbers] < known).sum(axis=1)
        first = (numbers == 0) & (config.first_slice_layers is not None)
        for kind in zip(first.tolist(), primes.tolist(), strict=True):
            found[kind] += count
    return found


def windows(config: Model, frames: int, prime: int, overlap: int) -> Iterator[Window]:
    """Windows that give frames `prime … frames` of a video, in order.

    Errors: Refused, as `check_lengths`.
    """
    check_lengths(config, frames, prime, overlap)
    T, known = config.video[0], prime
    overlap = T - 1 if config.single_frame else overlap
    start = 0 if prime < T else prime - overlap
    while known < frames:
        start = max(0, min(start, frames - T))
        end = min(start + T, frames)
        yield Window(start, known - start, end - start)
        known, start = end, end - overlap


def refuse_all_prime(prime: int, frames: int) -> None:
    """Refuse videos that hold prime frames alone. Errors: Refused."""
    if prime >= frames:
        all_of = f"{counted(prime, 'prime frame')} in a video of {frames}"
        raise Refused(f"{all_of}: none is left to predict", "prime must be smaller")


def check_lengths(config: Model, frames: int, prime: int, overlap: int) -> None:
    """Refuse lengths that no windows fit. Errors: Refused."""
    T = config.video[0]
    overlap = T - 1 if config.single_frame else overlap
    refuse_all_prime(prime, frames)
    if frames < T and not config.single_frame:
        raise Refused(
            f"frames: {frames} is shorter than the model's window of "
            f"{counted(T, 'frame')}"
        )
    if not 0 < overlap < T:
        raise Refused(
            f"overlap: {overlap} must lie between 1 and {T - 1}, "
            f"within the model's window of {counted(T, 'frame')}"
        )


def frames_of_slices(config: Model) -> Int[np.ndarray, "S t"]:
    """Frames of the window that each slice holds: a, a+st, a+2·st, …"""
    first = np.indices(config.s)[0].reshape(-1, 1)
    return first + config.s[0] * np.arange(config.slice_shape[0])


def scored_slices(config: Model, prime: int, stop: int) -> tuple[int, ...]:
    """Slices, in order, with a frame among prime … stop−1 of the window."""
    frames = frames_of_slices(config)
    scored = ((frames >= prime) & (frames < stop)).any(axis=1)
    return tuple(int(index) for index in np.flatnonzero(scored))


def slice_choices(config: Model, prime: int, batch: int) -> tuple[tuple[int, ...], ...]:
    """Slices that each row of a training batch is drawn from, all equally likely.

    Slices without a scored pixel are never drawn. The first rows are first slices where
    these have a decoder of their own (`Model.first_rows`).
    """
    drawn = scored_slices(config, prime, config.video[0])
    first = config.first_rows(batch)
    rest = tuple(index for index in drawn if index or not first)
    return ((0,),) * first + (rest,) * (batch - first)
