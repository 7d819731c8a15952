"""A trained network, loaded for sampling or scoring, and the clips it was made for."""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32, Int, UInt8

from svtcli.data.clips import Clips, open_clips
from svtcli.failure import Refused, StorageFailed
from svtcli.model.priming import slices_to_make
from svtcli.model.svt import Params, structure
from svtcli.model.windows import windows
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Recipe
from svtcli.run.directory import RunFolder
from svtcli.run.fingerprint import fingerprint, fingerprint_file
from svtcli.stages.prepared import clips_folder
from svtcli.training.checkpoint import latest_step, restore_params, steps_in
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

    @property
    def clips(self) -> Path:
        """The clips that it was trained on, as the run's recipe names them."""
        return clips_folder(self.recipe.data, self.run.name)


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
    ids: tuple[str, ...]


def open_checkpoint(run: RunFolder, step: int | None = None) -> Checkpoint:
    """The run's checkpoint of `step`, None for the newest. Errors: StorageFailed."""
    found = latest_step(run.checkpoints) if step is None else step
    if found not in steps_in(run.checkpoints):
        place = run.checkpoints / ("" if found is None else f"{found}")
        raise StorageFailed(f"{place}: broken checkpoint: {RECORD} is missing")
    return Checkpoint(run, found, run.recipe())


def load_network(checkpoint: Checkpoint) -> TrainedNetwork:
    """The network with the checkpoint's parameters, verified. Errors: a broken one."""
    graphdef, shapes = structure(checkpoint.recipe.model)
    folder = checkpoint.run.checkpoints
    params = restore_params(folder, checkpoint.step, shapes)
    # Restored arrays are committed to their device, and so is all that comes of them:
    # a loop that feeds results back would be compiled twice, for either kind.
    uncommitted = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), params)
    return TrainedNetwork(graphdef, uncommitted)


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
    fit = [i for i, length in enumerate(clips.lengths) if length >= frames]
    if not fit:
        raise Refused(
            f"{clips.name}: no clip of split {clips.split} has {frames} frames "
            f"(the longest has {max(clips.lengths, default=0)})",
            "ask for fewer frames, or prepare longer clips",
        )
    wanted = min(count or len(fit), len(fit))
    return tuple(fit[i * len(fit) // wanted] for i in range(wanted))


def read_held_out(clips: Clips, numbers: tuple[int, ...], frames: int) -> HeldOut:
    """The first `frames` frames of these clips."""
    actions = [clips.actions(number, 0, frames) for number in numbers]
    given = [each for each in actions if each is not None]
    return HeldOut(
        video=np.stack([clips.read(number, 0, frames) for number in numbers]),
        actions=np.stack(given) if given else None,
        ids=tuple(clips.ids[number] for number in numbers),
    )


def slices_per_batch(config: Model, frames: int, prime: int, overlap: int) -> int:
    """In how many slices a batch of such videos is made or scored.

    Errors: Refused when the frames cannot be laid out in windows.
    """
    try:
        return sum(
            len(slices_to_make(config, window.given, window.stop))
            for window in windows(config, frames, prime, overlap)
        )
    except ValueError as error:
        raise Refused(str(error)) from error


def full_batches(rows: int, size: int) -> list[Int[np.ndarray, " B"]]:
    """Row numbers, `size` at a time.

    The last batch is filled up with rows from the start, whose results are to be cut
    off: a batch of another size would have to be compiled.
    """
    size = min(size, rows)
    return [np.arange(i, i + size) % rows for i in range(0, rows, size)]
