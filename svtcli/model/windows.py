"""Videos longer than the model's own: the windows that make or score them (model.md).

A window of T frames primed on its first `given` frames makes the others; its last
`overlap` frames prime the next one. A window that would overrun moves back to end on
the last frame. A model whose slices are single frames moves on by one frame, so each
new frame is the last slice of its window.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from svtcli.recipe.model import Model


@dataclass(frozen=True)
class Window:
    """Frames `start` … `start + T` of a video; those in `given … stop` are made."""

    start: int
    given: int
    stop: int


def windows(config: Model, frames: int, prime: int, overlap: int) -> Iterator[Window]:
    """The windows that make frames `prime … frames` of a video, in order.

    Errors: ValueError, with a sentence for the user, if they cannot be laid out.
    """
    T = config.video[0]
    if config.single_frame:
        overlap = T - 1
    _check(config, frames, prime, overlap)
    known = prime
    start = 0 if prime < T else prime - overlap
    while known < frames:
        start = max(0, min(start, frames - T))
        end = min(start + T, frames)
        yield Window(start, known - start, end - start)
        known, start = end, end - overlap


def _check(config: Model, frames: int, prime: int, overlap: int) -> None:
    T = config.video[0]
    if prime >= frames:
        raise ValueError(
            f"prime: {prime} given frames leave nothing of {frames} frames to make"
        )
    if frames < T and not config.single_frame:
        raise ValueError(
            f"frames: {frames} is shorter than the model's window of {T} frames"
        )
    if not 0 < overlap < T:
        raise ValueError(
            f"overlap: {overlap} must lie between 1 and {T - 1}, "
            f"within the model's window of {T} frames"
        )
