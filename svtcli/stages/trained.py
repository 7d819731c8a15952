"""A trained network, loaded for sampling or scoring, and the clips it was made for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flax import nnx
from jaxtyping import Float32, UInt8

from svtcli.data.clips import Clips, open_clips
from svtcli.failure import Refused
from svtcli.model.svt import Params, structure
from svtcli.recipe.schema import Recipe
from svtcli.run.directory import RunFolder, find_checkpoint
from svtcli.run.fingerprint import fingerprint, fingerprint_file
from svtcli.training.checkpoint import latest_step, restore_params
from svtcli.training.commit_record import RECORD


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that exists; its arrays are read by `load_network`."""

    run: RunFolder
    step: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """RUN@STEP, as commands take it."""
        return f"{self.run.name}@{self.step}"

    @property
    def fingerprint(self) -> str:
        """Of every byte of the checkpoint, through its commit record."""
        place = self.run.checkpoints / str(self.step)
        return fingerprint(fingerprint_file(place / RECORD))


@dataclass(frozen=True)
class TrainedNetwork:
    """Structure and parameters, ready to be merged."""

    graphdef: nnx.GraphDef
    params: Params


@dataclass(frozen=True)
class HeldOut:
    """The first frames of some clips of a split."""

    video: UInt8[np.ndarray, "N F H W I"]
    actions: Float32[np.ndarray, "N F A"] | None
    numbers: tuple[int, ...]
    """Which clips of the split they are."""
    ids: tuple[str, ...]

    def batches(self, size: int) -> Iterator[slice]:
        """Slices of the rows, `size` at a time."""
        for start in range(0, len(self.video), size):
            yield slice(start, start + size)


def find_trained(ckpt: str) -> Checkpoint:
    """The checkpoint that CKPT means. Errors: Refused when there is none."""
    run, step = find_checkpoint(ckpt)
    found = latest_step(run.checkpoints) if step is None else step
    if found is None:
        raise Refused(f"{run.path}: no checkpoint here yet", "train it: svt train")
    return Checkpoint(run, found, run.recipe())


def load_network(checkpoint: Checkpoint) -> TrainedNetwork:
    """The network with the checkpoint's parameters, verified. Errors: a broken one."""
    graphdef, shapes = structure(checkpoint.recipe.model)
    folder = checkpoint.run.checkpoints
    return TrainedNetwork(graphdef, restore_params(folder, checkpoint.step, shapes))


def open_fitting(folder: Path, split: str, recipe: Recipe) -> Clips:
    """The clips of `split`, if the recipe's model takes them.

    Errors: Refused when they are missing, of another size, or without actions that
    the model needs.
    """
    clips = open_clips(folder, split)
    _, H, W = recipe.model.video
    wanted = (H, W, recipe.model.channels)
    if clips.shape != wanted:
        raise Refused(
            f"{folder}: frames are {list(clips.shape)} (height, width, channels), "
            f"the model takes {list(wanted)}",
            "name clips of that size, or prepare them with --size",
        )
    if clips.action_size != recipe.model.actions:
        raise Refused(
            f"{folder}: clips have {clips.action_size} action values per frame, "
            f"the model takes {recipe.model.actions}"
        )
    return clips


def read_held_out(clips: Clips, frames: int, count: int | None) -> HeldOut:
    """The first `frames` frames of `count` clips, spread evenly over the split.

    Shorter clips are passed over; None takes all others. Errors: Refused when all are
    shorter.
    """
    fit = [i for i, length in enumerate(clips.lengths) if length >= frames]
    if not fit:
        raise Refused(
            f"{clips.name}: no clip of split {clips.split} has {frames} frames "
            f"(the longest has {max(clips.lengths, default=0)})",
            "ask for fewer frames, or prepare longer clips",
        )
    wanted = min(count or len(fit), len(fit))
    numbers = tuple(fit[i * len(fit) // wanted] for i in range(wanted))
    actions = [clips.actions(number, 0, frames) for number in numbers]
    given = [each for each in actions if each is not None]
    return HeldOut(
        video=np.stack([clips.read(number, 0, frames) for number in numbers]),
        actions=np.stack(given) if given else None,
        numbers=numbers,
        ids=tuple(clips.ids[number] for number in numbers),
    )
