"""Which held-out clips a trained network continues or scores, and how they are read."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, Int, UInt8

from svtcli.clips.reader import Clips, open_clips
from svtcli.failure import Refused
from svtcli.model.priming import slices_to_make
from svtcli.model.windows import windows
from svtcli.recipe.data import label_pattern
from svtcli.recipe.model import Model
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Compare, Eval, Recipe, Sample
from svtcli.recipe.setting import influential
from svtcli.run.fingerprint import fingerprint
from svtcli.train.load_network import Checkpoint

Settings = TypeVar("Settings", Sample, Eval)


@dataclass(frozen=True)
class HeldOutPlan:
    """What both of sampling and scoring settle before they begin."""

    checkpoint: Checkpoint
    folder: Path
    clips: Clips
    numbers: tuple[int, ...]
    """Which clips of the split are taken."""
    prime: int
    frames: int
    overlap: int
    slices: int
    """In how many a batch is made or scored."""
    fingerprint: str
    """Of everything that the result depends on."""


def plan_held_out(
    checkpoint: Checkpoint,
    settings: Settings,
    clips: Path | None,
    count: int | None,
) -> HeldOutPlan:
    """Check settings and clips against the checkpoint; writes nothing.

    `clips` defaults to the recipe's; `count` is how many are taken, None for all.
    Errors: Refused for clips that are missing or do not fit, or frames that cannot be
    laid out in windows.
    """
    recipe, folder = checkpoint.recipe, clips or checkpoint.clips
    labels = label_pattern(settings.subset, settings.match)
    opened = open_fitting(folder, settings.split, recipe, labels)
    lengths = recipe.resolved(settings)
    what = influential(replace(settings, **vars(lengths)))
    if isinstance(settings, Eval):  # a likelihood does not depend on comparisons
        what = {key: what[key] for key in what.keys() - vars(Compare()).keys()}
    kind = type(settings).__name__
    return HeldOutPlan(
        checkpoint,
        folder,
        opened,
        choose_clips(opened, lengths.frames, count),
        lengths.prime,
        lengths.frames,
        lengths.overlap,
        slices_per_batch(recipe.model, lengths),
        fingerprint(kind, checkpoint.fingerprint, opened.fingerprint, what),
    )


@dataclass(frozen=True)
class HeldOut:
    """The first frames of some clips of a split."""

    video: UInt8[np.ndarray, "N F H W I"]
    actions: Float32[np.ndarray, "N F A"] | None
    ids: tuple[str, ...]


def open_fitting(
    folder: Path, split: str, recipe: Recipe, labels: re.Pattern[str] | None
) -> Clips:
    """The clips of `split` with these `labels`, if the recipe's model takes them.

    Errors: Refused when they are missing, of another size, or without actions that
    the model needs.
    """
    clips = open_clips(folder, split, labels)
    _, H, W = recipe.model.video
    wanted = (H, W, recipe.model.channels)
    if clips.shape != wanted:
        raise Refused(
            f"{folder}: frames are {list(clips.shape)} (height, width, channels), "
            f"the model takes {list(wanted)}",
            "name clips of that size, or prepare them with --size",
        )
    if recipe.model.actions not in (0, clips.action_size):
        raise Refused(
            f"{folder}: clips have {clips.action_size} action values per frame, "
            f"the model takes {recipe.model.actions}"
        )
    return clips


def choose_clips(clips: Clips, frames: int, count: int | None) -> tuple[int, ...]:
    """The numbers of `count` clips of `frames` frames, spread evenly over the split.

    Shorter clips are passed over; None takes all others. Errors: Refused when all are
    shorter.
    """
    fit = np.flatnonzero(clips.lengths >= frames)
    if not len(fit):
        raise Refused(
            f"{clips.name}: no clip of split {clips.split} has {frames} frames "
            f"(the longest has {clips.lengths.max(initial=0)})",
            "ask for fewer frames, or prepare longer clips",
        )
    wanted = min(count or len(fit), len(fit))
    return tuple(int(fit[i * len(fit) // wanted]) for i in range(wanted))


def read_held_out(plan: HeldOutPlan) -> HeldOut:
    """The first frames of the plan's clips, with actions if the model takes them."""
    model = plan.checkpoint.recipe.model
    return read_clips(plan.clips, plan.numbers, plan.frames, model)


def read_clips(
    clips: Clips, numbers: tuple[int, ...], frames: int, config: Model
) -> HeldOut:
    """The first frames of these clips, with actions if the model takes them."""
    actions = [clips.actions(number, 0, frames) for number in numbers if config.actions]
    given = [each for each in actions if each is not None]
    return HeldOut(
        video=np.stack([clips.read(number, 0, frames) for number in numbers]),
        actions=np.stack(given) if given else None,
        ids=tuple(clips.ids[number] for number in numbers),
    )


def slices_per_batch(config: Model, lengths: Lengths) -> int:
    """In how many slices a batch of such videos is made or scored.

    Errors: Refused when the frames cannot be laid out in windows.
    """
    try:
        return sum(
            len(slices_to_make(config, window.given, window.stop))
            for window in windows(
                config, lengths.frames, lengths.prime, lengths.overlap
            )
        )
    except ValueError as error:
        raise Refused(str(error)) from error


def full_batches(
    rows: int, size: int, devices: int = 1, rest_of: int | None = None, least: int = 1
) -> list[Int[np.ndarray, " B"]]:
    """Row numbers, `size` at a time, rounded up to as many for each of the `devices`,
    and to `least` for each.

    The last batch is filled up with rows from the start, whose results are to be cut
    off: a batch of another size would have to be compiled. So they are of the size that
    they would have for all rows, where these are the `rest_of` so many.
    """
    size = max(least, -(-min(size, rest_of or rows) // devices)) * devices
    return [np.arange(i, i + size) % rows for i in range(0, rows, size)]
