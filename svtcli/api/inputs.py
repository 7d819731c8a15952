"""Arrays and clips that a Python program gives, checked: they come from anywhere."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from svtcli.clips.held_out import model_misfits
from svtcli.clips.in_memory import memory_clips
from svtcli.clips.reader import Clips
from svtcli.clips.splits import Clip
from svtcli.evaluate.foreign.arrays import videos_of_array
from svtcli.failure import Refused
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe
from svtcli.run.progress import counted
from svtcli.sample.actions import ActionSet, actions_of_array
from svtcli.video.array_layout import CHANNELS

Frames = ArrayLike | Clip | Sequence[Clip]
"""uint8 [N, F, H, W, C], or [F, H, W, C] of one video; or clips of one split."""


class Chosen(NamedTuple):
    """Videos to sample or score."""

    clips: Clips
    numbers: tuple[int, ...]
    """Numbers of the clips, which decide their noise."""
    actions: ActionSet | None
    """Actions to follow in place of the clips' own."""


def choose(
    video: Frames,
    actions: ArrayLike | None,
    recipe: Recipe,
    lengths: Lengths,
    least: int,
) -> Chosen:
    """Videos that the recipe's model takes, arrays of at least `least` frames.

    Errors: Refused.
    """
    size, given = recipe.model.actions, None
    if actions is not None:
        if not size:
            raise Refused("actions: this model takes none (its model.actions is 0)")
        values = actions_of_array(array_of(actions, "actions"), lengths.frames, size)
        given = ActionSet("the array", values)
    if clips := _clips_in(video):
        chosen = _of_clips(clips, given, lengths)
    else:
        chosen = _of_array(array_of(video, "video"), given, recipe, lengths, least)
    if misfits := model_misfits(chosen.clips, recipe.model):
        raise Refused(f"video: does not fit the model: {'; '.join(misfits)}")
    return chosen


def _clips_in(video: Frames) -> list[Clip]:
    """Clips that are given; none if it is an array."""
    if isinstance(video, Clip):
        return [video]
    if not isinstance(video, list | tuple):
        return []
    clips = [each for each in video if isinstance(each, Clip)]
    return clips if len(clips) == len(video) else []


def _of_clips(clips: list[Clip], given: ActionSet | None, lengths: Lengths) -> Chosen:
    """Clips of one split, with their own numbers. Errors: Refused."""
    split = clips[0].clips
    for clip in clips:
        if clip.clips is not split:
            raise Refused("video: clips of several splits", "take those of one split")
        if len(clip) < lengths.frames:
            there, wanted = counted(len(clip), "frame"), lengths.frames
            raise Refused(
                f"video: clip {clip.id} has {there}; expected {wanted} or more",
                f"take longer clips, or fewer frames: frames={len(clip)}",
            )
    if given is not None:
        given.check_clips(len(clips))
    return Chosen(split, tuple(clip.number for clip in clips), given)


def _of_array(
    array: np.ndarray,
    given: ActionSet | None,
    recipe: Recipe,
    lengths: Lengths,
    least: int,
) -> Chosen:
    """Videos of an array, numbered by its rows. Errors: Refused."""
    if array.ndim == 6:
        raise Refused(
            f"video: its axes are {list(array.shape)}, which looks like continuations",
            "join them: x.reshape(-1, *x.shape[2:])",
        )
    if array.ndim == 4 and array.shape[-1] in CHANNELS:
        array = array[None]
    N, there = videos_of_array(array, "video").count, array.shape[1]
    if there < least:
        raise Refused(
            f"video: {counted(there, 'frame')}; expected {least} or more",
            "give longer videos, or ask for less: frames=, prime=",
        )
    known, size = None, recipe.model.actions
    if size and given is None:
        raise Refused(
            f"actions: this model takes {counted(size, 'number')} with each frame",
            f"give actions of [F, {size}] or [N, F, {size}]; zeros for no motion",
        )
    if given is not None and given.values is not None:
        given.check_clips(N)
        known = np.broadcast_to(given.values, (N, lengths.frames, size)).copy()
    named = {str(number): frames for number, frames in enumerate(array)}
    clips = memory_clips(named, lengths.frames, size, known)
    return Chosen(clips, tuple(range(N)), None)


def array_of(values: Any, name: str) -> np.ndarray:
    """Array of numbers, of anything that NumPy takes for one. Errors: Refused."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"{name}: not an array: its parts have several shapes or kinds"
        raise Refused(what, "make it one: np.stack") from error
    if array.dtype.kind not in "biuf":
        raise Refused(f"{name}: not an array of numbers")
    return array
