"""Choose and read held-out clips that a model continues or scores."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int, UInt8

from svtcli.clips.reader import Clips, open_clips
from svtcli.failure import Refused
from svtcli.model.windows import count_passes
from svtcli.recipe.model import Model
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe
from svtcli.run.progress import counted


@dataclass(frozen=True)
class HeldOut:
    """First frames of some clips of a split."""

    video: UInt8[np.ndarray, "N F H W I"]
    actions: Float32[np.ndarray, "N F A"] | None
    ids: tuple[str, ...]


def open_fitting(
    folder: Path, split: str, recipe: Recipe, labels: re.Pattern[str] | None
) -> Clips:
    """Open the clips of `split` with these `labels`, if they fit the recipe's model.

    Errors: `Refused` when they are missing, of another size, or without actions that
    the model needs.
    """
    clips = open_clips(folder, split, labels)
    if misfits := model_misfits(clips, recipe.model):
        hint = "name clips that do"
        if clips.shape[:2] != recipe.model.video[1:]:
            hint += ", or prepare them with --size"
        what = f"{folder}: clips do not fit the model: {'; '.join(misfits)}"
        raise Refused(what, hint)
    return clips


def model_misfits(clips: Clips, config: Model) -> dict[str, str]:
    """Differences that keep a model from taking these clips, and settings that fit."""
    (height, width, channels), misfits = clips.shape, {}
    F, H, W = config.video
    if (height, width) != (H, W):
        what = f"frames are {height} by {width}, model.video wants {H} by {W}"
        misfits[what] = f"model.video=[{F},{height},{width}]"
    if channels != config.channels:
        what = (
            f"frames have {counted(channels, 'channel')}, model.channels is "
            f"{config.channels}"
        )
        misfits[what] = f"model.channels={channels}"
    if config.actions not in (0, actions := clips.action_size):
        what = f"frames have {actions} action values, model.actions is {config.actions}"
        misfits[what] = f"model.actions={actions}"
    return misfits


def choose_clips(clips: Clips, frames: int, count: int | None) -> tuple[int, ...]:
    """Number `count` clips of at least `frames` frames, spread evenly over the split.

    None takes all of them. Errors: `Refused` when all clips are shorter.
    """
    fit = np.flatnonzero(clips.lengths >= frames)
    if not len(fit):
        raise Refused(
            f"{clips.name}: no clip of split {clips.split} has {frames} frames "
            f"(the longest has {clips.lengths.max(initial=0)})",
            "ask for fewer frames, or prepare longer clips",
        )
    return spread_evenly(tuple(fit.tolist()), count)


def spread_evenly(numbers: tuple[int, ...], count: int | None) -> tuple[int, ...]:
    """Choose `count` of these numbers, or all where there are fewer, or for None."""
    wanted = min(count or len(numbers), len(numbers))
    return tuple(numbers[i * len(numbers) // wanted] for i in range(wanted))


def read_clips(
    clips: Clips, numbers: tuple[int, ...], frames: int, config: Model
) -> HeldOut:
    """Read the first frames of these clips, with actions if the model takes them."""
    actions = [clips.actions(number, 0, frames) for number in numbers if config.actions]
    known = [each for each in actions if each is not None]
    return HeldOut(
        video=np.stack([clips.read(number, 0, frames) for number in numbers]),
        actions=np.stack(known) if known else None,
        ids=tuple(clips.ids[number] for number in numbers),
    )


def slices_per_batch(config: Model, lengths: Lengths) -> int:
    """Count the slices that are sampled or scored in a video of these lengths.

    Errors: `Refused`, as `windows.check_lengths`.
    """
    return count_passes(config, lengths.frames, lengths.prime, lengths.overlap).total()


def full_batches(
    rows: int, size: int, devices: int = 1, rest_of: int | None = None, least: int = 1
) -> list[Int[np.ndarray, " B"]]:
    """Group row numbers into batches of one size, so that one program serves them all.

    A batch has about `size` rows (at most `rest_of`, by default `rows`), at least
    `least` on each device, and equally many on each. The last batch is filled up with
    rows from the start, whose results are to be cut off.
    """
    size = max(least, -(-min(size, rest_of or rows) // devices)) * devices
    return [np.arange(i, i + size) % rows for i in range(0, rows, size)]
