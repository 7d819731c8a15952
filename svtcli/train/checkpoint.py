"""Checkpoints of a run: verified, written atomically, by one writer.

    checkpoints/2000/        params/ and training/ (opt, step) by orbax, commit.json
    checkpoints/unfinished/  being written or deleted; worthless after a kill
    checkpoints/quarantine/  found damaged; never used, never deleted

A folder is renamed to its number last, when every byte is on the disk and `commit.json`
lists it: a kill at any moment leaves the older checkpoints and `unfinished/`. A
checkpoint found damaged later (a flipped bit, a bad disk) goes to quarantine and the
next older one is used; a run without an intact one is refused, never restarted at 0.

Of several processes each writes and reads its own shards of the arrays, in one shared
folder; process 0 does the rest and decides which checkpoint all of them restore.
"""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import PyTree

from svtcli.failure import Failure, Refused, StorageFailed
from svtcli.model.parameters import Params, for_products_in
from svtcli.model.svt import structure
from svtcli.recipe.schema import Precision
from svtcli.run.directory import numbered
from svtcli.run.durable import move_into_place, require_room
from svtcli.run.signals import RESUME
from svtcli.train import arrays
from svtcli.train.commit_record import (
    QUARANTINE,
    Checkpoint,
    CorruptCheckpoint,
    Record,
    deleted,
    seal,
    steps_in,
    unread,
    verify,
)
from svtcli.train.distributed import ALONE, Peers
from svtcli.train.state import State

UNFINISHED = "unfinished"
FREE_SPACE = f"free some space, then {RESUME}"
SLACK = 1 << 20
"""Bytes that a checkpoint may need beyond its arrays: names, shapes, checksums."""


class Checkpoints:
    """Checkpoints of one run, for its one writer (which holds the run's lock).

    Saves run in the background; an error there is raised by the next call. As a context
    manager it waits for the last save.
    """

    def __init__(
        self,
        folder: Path,
        keep: int,
        clips: str,
        note: Callable[[str], None],
        keep_every: int | None = None,
        peers: Peers = ALONE,
    ) -> None:
        self.folder, self.keep, self.clips, self.note = folder, keep, clips, note
        self.keep_every, self.peers = keep_every, peers
        self.saved: int | None = None
        """Newest step that is known to be safe on the disk."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future[int] | None = None
        if peers.first:
            shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
            (folder / UNFINISHED).mkdir(parents=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        # A failed save must not hide the error that is being raised.
        quiet = suppress(Failure) if failure else nullcontext()
        try:
            with quiet:
                self.wait()
        finally:
            self._writer.shutdown()

    def restore(self, abstract: State) -> State | None:
        """Restore the newest intact state; None if nothing was ever saved.

        Errors: Refused for a checkpoint of another model or of other clips;
        StorageFailed if all checkpoints are damaged, or the newest cannot be read.
        """
        wanted = arrays.parts_of(abstract)
        step: int | None = self.peers.decided(lambda: self._newest_intact(wanted))
        if step is None:
            return None
        self.saved = step
        parts = arrays.read(self.folder / str(step), wanted)
        return arrays.state_from(parts, like=abstract)

    def _newest_intact(self, wanted: dict[str, arrays.Named]) -> int | None:
        """Step of the newest intact checkpoint; quarantines damaged ones."""
        for step in reversed(numbered(self.folder)):
            place = self.folder / str(step)
            try:
                record = verify(place)
            except CorruptCheckpoint as damage:
                self._quarantine(step, str(damage))
                continue
            if record.clips != self.clips:
                raise Refused(
                    f"{place}: was trained on other clips than the recipe names now",
                    "start another run with --run NAME, or start over with: "
                    "svt train … --fresh",
                )
            _refuse_other_model(place, record, wanted)
            return step
        if any((self.folder / QUARANTINE).glob("*")):
            raise StorageFailed(
                f"{self.folder}: all checkpoints are damaged, and training does not "
                "silently start again at step 0",
                "the damaged ones are in quarantine/; svt train … --fresh starts over",
            )
        return None

    def save(self, state: State) -> None:
        """Save `state` in the background, once the previous save is complete.

        The state may be donated as soon as this returns. Errors: StorageFailed,
        OutOfMemory.
        """
        self.wait()
        step, parts = int(state["step"]), arrays.parts_of(state)
        if self.peers.first:
            size = arrays.size_in_bytes(parts) + SLACK
            require_room(self.folder, size, "a checkpoint", FREE_SPACE)
        unfinished = self.folder / UNFINISHED / str(step)
        record = Record(step, self.clips, arrays.described(parts))
        try:
            writing = arrays.write(unfinished, parts)
        except Failure:
            if self.peers.first:
                _sweep(unfinished)
            raise

        def finish() -> int:
            try:
                with arrays.storage_errors(self.folder):
                    # Orbax waits here until every process has written its shards.
                    writing.result()
                    if self.peers.first:
                        seal(unfinished, record)
                        move_into_place(unfinished, self.folder / str(step))
                        self._delete_old()
            finally:
                if self.peers.first:
                    _sweep(unfinished)
            return step

        self._saving = self._writer.submit(finish)

    def poll(self) -> None:
        """Raise the error of a background save, if there is one; never waits."""
        if self._saving is not None and self._saving.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the last save is safe on the disk."""
        if self._saving is not None:
            saving, self._saving = self._saving, None
            self.saved = saving.result()

    def _quarantine(self, step: int, reason: str) -> None:
        shelf = self.folder / QUARANTINE
        shelf.mkdir(exist_ok=True)
        place = shelf / f"{step}-{len(list(shelf.iterdir())) + 1}"
        (self.folder / str(step)).rename(place)
        self.note(f"checkpoint {step} is damaged ({reason}); moved to {place}")

    def _delete_old(self) -> None:
        """Keep the newest `keep` checkpoints and all multiples of `keep_every`.

        One that is being read stays until a later save. A deleted folder loses its
        number before its files.
        """
        for step in numbered(self.folder)[: -self.keep]:
            if self.keep_every is not None and step % self.keep_every == 0:
                continue
            place = self.folder / str(step)
            going = self.folder / UNFINISHED / f"old-{step}"
            with unread(place) as free:
                if free:
                    place.rename(going)
            if free:
                shutil.rmtree(going)


def restore_params(
    folder: Path, step: int, abstract_params: PyTree, part: str = "params"
) -> PyTree:
    """Restore the parameters alone, float32, for sampling and scoring.

    `part` is `params`, or `ema` for their average; `abstract_params` gives shapes,
    dtypes and, if not the default device, devices. Errors: StorageFailed for a damaged
    or unreadable checkpoint, Refused for another model's.
    """
    place = folder / str(step)
    try:
        record = verify(place)
    except CorruptCheckpoint as error:
        if not place.exists():
            raise deleted(place) from error
        others = [str(other) for other in steps_in(folder) if other != step]
        hint = f"other steps here: {', '.join(others)}" if others else None
        raise StorageFailed(f"{place}: damaged checkpoint: {error}", hint) from error
    wanted = {part: arrays.named(abstract_params)}
    _refuse_other_model(place, record, wanted)
    parts = arrays.read(place, wanted)
    return arrays.unnamed(parts[part], like=abstract_params)


@dataclass(frozen=True)
class TrainedNetwork:
    """Structure and parameters of a network."""

    graphdef: nnx.GraphDef
    params: Params


def load_network(
    checkpoint: Checkpoint, precision: Precision = "float32"
) -> TrainedNetwork:
    """Load the checkpoint's parameters, or their average if it has one, verified.

    Weights of products are cast to `precision`. Errors: StorageFailed for a damaged
    checkpoint.
    """
    kept = checkpoint.networks
    if kept and precision in kept:
        return kept[precision]
    graphdef, shapes = structure(checkpoint.recipe.model)
    folder = checkpoint.run.checkpoints
    part = "ema" if checkpoint.recipe.train.ema else "params"
    params = restore_params(folder, checkpoint.step, shapes, part)
    # Restored arrays are committed to their device, and so are results computed from
    # them: a loop that feeds results back would be compiled twice. So go through the
    # host, and cast there: the device never holds them in float32 too.
    on_host = for_products_in(
        graphdef, jax.tree.map(np.asarray, params), jnp.dtype(precision)
    )
    network = TrainedNetwork(graphdef, jax.tree.map(jnp.asarray, on_host))
    if kept is not None:
        kept[precision] = network
    return network


def _refuse_other_model(
    place: Path, record: Record, abstract: dict[str, arrays.Named]
) -> None:
    """Refuse a checkpoint whose arrays differ from `abstract` in the parts it has."""
    wanted = arrays.described(abstract)
    parts = tuple(f"{part}." for part in abstract)
    there = {k: v for k, v in record.arrays.items() if k.startswith(parts)}
    if differences := arrays.differences(there, wanted, "checkpoint"):
        raise Refused(
            f"{place}: checkpoint of another model: {differences}",
            "use the recipe that it was trained with",
        )


def _sweep(unfinished: Path) -> None:
    """Remove the files of a failed save, also those that orbax writes beside its place.

    Its writers may outlive the failure: wait for what they still add, at most 2 s.
    """
    for _ in range(100):
        left = [unfinished, *unfinished.parent.glob(f"{unfinished.name}.*")]
        there = [path for path in left if path.exists()]
        if not there:
            return
        for path in there:
            shutil.rmtree(path, ignore_errors=True)
        time.sleep(0.02)
