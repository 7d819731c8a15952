"""Plan the held-out clips that a checkpoint continues or scores."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from svtcli.clips.held_out import (
    HeldOut,
    choose_clips,
    open_fitting,
    read_clips,
    slices_per_batch,
)
from svtcli.clips.reader import Clips
from svtcli.model.windows import check_lengths
from svtcli.recipe.labels import label_pattern
from svtcli.recipe.schema import Compare, Eval, Recipe, Sample
from svtcli.recipe.setting import MOST, influential
from svtcli.run.durable import fingerprint
from svtcli.train.commit_record import Checkpoint

Settings = TypeVar("Settings", Sample, Eval)


@dataclass(frozen=True)
class HeldOutPlan:
    """Checked settings that sampling and scoring share."""

    checkpoint: Checkpoint
    folder: Path
    clips: Clips
    numbers: tuple[int, ...]
    """Numbers of the chosen clips in their split."""
    prime: int
    frames: int
    overlap: int
    slices: int
    """Slices that are sampled or scored in each video."""
    fingerprint: str
    """Fingerprint of everything that the result depends on."""

    def read(self, numbers: tuple[int, ...] | None = None) -> HeldOut:
        """Read the chosen clips, or those of `numbers`: all may not fit in memory."""
        model, chosen = self.checkpoint.recipe.model, numbers or self.numbers
        return read_clips(self.clips, chosen, self.frames, model)


def check_held_out(
    recipe: Recipe, settings: Settings, clips: Path | None, count: int | None
) -> int:
    """Number of clips that `settings` select: `count`, or those in the folder `clips`.

    Errors: `Refused`, as `plan_held_out`, without a checkpoint.
    """
    lengths = recipe.resolved(settings)
    check_lengths(recipe.model, **vars(lengths))
    if clips is None:
        return count or MOST
    labels = label_pattern(settings.subset, settings.match)
    opened = open_fitting(clips, settings.split, recipe, labels)
    return len(choose_clips(opened, lengths.frames, count))


def plan_held_out(
    checkpoint: Checkpoint,
    settings: Settings,
    clips: Path | Clips | None,
    count: int | None,
) -> HeldOutPlan:
    """Check settings and clips against the checkpoint; writes nothing.

    `clips` defaults to the recipe's, `count` None takes all clips. Errors: `Refused`
    for clips that are missing or do not fit, or frames that cannot be laid out in
    windows.
    """
    recipe = checkpoint.recipe
    if isinstance(clips, Clips):
        opened, folder = clips, Path(clips.name)
    else:
        opened = open_held_out(checkpoint, settings, clips)
        folder = clips or checkpoint.clips
    lengths = recipe.resolved(settings)
    influence = influential(replace(settings, **vars(lengths)))
    if isinstance(settings, Eval):  # a likelihood does not depend on comparisons
        kept = influence.keys() - vars(Compare()).keys()
        influence = {key: influence[key] for key in kept}
    if influence.get("actions") is None:  # as in samples of before there was the key
        influence.pop("actions", None)
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
        fingerprint(kind, checkpoint.fingerprint, opened.fingerprint, influence),
    )


def open_held_out(
    checkpoint: Checkpoint, settings: Settings, clips: Path | None
) -> Clips:
    """Open the clips of `settings`. Errors: as `open_fitting`."""
    labels = label_pattern(settings.subset, settings.match)
    folder = clips or checkpoint.clips
    return open_fitting(folder, settings.split, checkpoint.recipe, labels)
