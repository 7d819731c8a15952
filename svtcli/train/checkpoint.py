"""Checkpoints that can be trusted. Orbax writes the arrays; what it lacks is here.

    checkpoints/2000/        params/ and training/ (opt, step) by orbax, commit.json
    checkpoints/unfinished/  being written or thrown away; worth nothing
    checkpoints/quarantine/  found broken; never used, never deleted

A folder gets its number last, when every byte is on the disk and `commit.json` vouches
for it. So a kill at any moment leaves the older checkpoints and `unfinished/`. What is
found broken later (a flipped bit, a bad disk) is set aside and the next older one used;
a run whose checkpoints are all broken is refused, never started again at 0.

Of several processes each writes and reads its own part of the arrays, in one shared
folder; process 0 alone does the rest, and says which checkpoint all of them take.
"""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

from jaxtyping import PyTree

from svtcli.failure import Failure, Refused, StorageFailed
from svtcli.run.durable import move_into_place
from svtcli.train import arrays
from svtcli.train.commit_record import (
    RECORD,
    Broken,
    Record,
    seal,
    verify,
)
from svtcli.train.distributed import ALONE, Peers
from svtcli.train.state import State

UNFINISHED, QUARANTINE = "unfinished", "quarantine"
SLACK = 1 << 20
"""Bytes that a checkpoint may need beyond its arrays: names, shapes, checksums."""


class Checkpoints:
    """The checkpoints of one run, for its one writer (who holds the run's lock).

    Saving goes on in the background. If it fails there, the next call says so; use as
    a context manager, which waits for the last save.
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
        """The newest step that is known to be safe on the disk."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future[int] | None = None
        if peers.first:
            shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
            (folder / UNFINISHED).mkdir(parents=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        # While another failure is on its way up, a failed save must not hide it.
        quiet = suppress(Failure) if failure else nullcontext()
        try:
            with quiet:
                self.wait()
        finally:
            self._writer.shutdown()

    def restore(self, abstract: State) -> State | None:
        """The newest state that verifies; None when nothing was ever saved.

        Errors: a checkpoint of another model or of other clips; none that holds.
        """
        wanted = arrays.parts_of(abstract)
        step: int | None = self.peers.decided(lambda: self._newest_whole(wanted))
        if step is None:
            return None
        self.saved = step
        parts = arrays.read(self.folder / str(step), wanted)
        return arrays.state_from(parts, like=abstract)

    def _newest_whole(self, wanted: dict[str, arrays.Named]) -> int | None:
        """The step of the newest checkpoint that verifies; sets aside what doesn't."""
        for step in reversed(_numbered(self.folder)):
            place = self.folder / str(step)
            try:
                record = verify(place)
            except (Broken, OSError) as error:
                self._quarantine(step, str(error))
                continue
            if record.clips != self.clips:
                raise Refused(
                    f"{place}: was trained on other clips than the recipe names now",
                    "name another run with --run, or start over with --fresh",
                )
            _refuse_other_model(place, record, wanted)
            return step
        if any((self.folder / QUARANTINE).glob("*")):
            raise StorageFailed(
                f"{self.folder}: no checkpoint here holds what was written, and "
                "training does not silently start again at step 0",
                "the broken ones are in quarantine/; --fresh starts over",
            )
        return None

    def save(self, state: State) -> None:
        """Save `state` in the background, after the save before it is through.

        The state may be donated as soon as this returns. Errors: the disk or a device
        is full.
        """
        self.wait()
        step, parts = int(state["step"]), arrays.parts_of(state)
        if self.peers.first:
            self._refuse_full_disk(arrays.size_in_bytes(parts))
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
                with arrays.storage_errors(self.folder, arrays.MAKE_ROOM):
                    # Orbax waits here until every process has written its part.
                    writing.result()
                    if self.peers.first:
                        seal(unfinished, record)
                        move_into_place(unfinished, self.folder / str(step))
                        self._forget_old()
            finally:
                if self.peers.first:
                    _sweep(unfinished)
            return step

        self._saving = self._writer.submit(finish)

    def poll(self) -> None:
        """Raise what went wrong in the background, if anything has; never waits."""
        if self._saving is not None and self._saving.done():
            self.wait()

    def wait(self) -> None:
        """Wait until what was saved is safe on the disk."""
        if self._saving is not None:
            saving, self._saving = self._saving, None
            self.saved = saving.result()

    def _quarantine(self, step: int, reason: str) -> None:
        shelf = self.folder / QUARANTINE
        shelf.mkdir(exist_ok=True)
        place = shelf / f"{step}-{len(list(shelf.iterdir())) + 1}"
        (self.folder / str(step)).rename(place)
        self.note(f"checkpoint {step} is broken ({reason}); moved to {place}")

    def _refuse_full_disk(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < size + SLACK:
            raise StorageFailed(
                f"{self.folder}: a checkpoint needs {_megabytes(size + SLACK)}, "
                f"{_megabytes(free)} free",
                arrays.MAKE_ROOM,
            )

    def _forget_old(self) -> None:
        """Keep the newest `keep` and all multiples of `keep_every`.

        What goes loses its number before its files.
        """
        for step in _numbered(self.folder)[: -self.keep]:
            if self.keep_every is not None and step % self.keep_every == 0:
                continue
            going = self.folder / UNFINISHED / f"old-{step}"
            (self.folder / str(step)).rename(going)
            shutil.rmtree(going)


def steps_in(folder: Path) -> list[int]:
    """The steps with a sealed checkpoint in `folder`, ascending; not yet verified."""
    return [
        step for step in _numbered(folder) if (folder / f"{step}" / RECORD).is_file()
    ]


def latest_step(folder: Path) -> int | None:
    """The newest step with a checkpoint in `folder`; None when there is none."""
    return max(steps_in(folder), default=None)


def was_saved(folder: Path) -> bool:
    """Whether `folder` has held a checkpoint, whole or broken."""
    return bool(_numbered(folder)) or any((folder / QUARANTINE).glob("*"))


def holds(folder: Path, step: int) -> bool:
    """Whether the checkpoint of `step` is what was written; reads every byte."""
    try:
        verify(folder / str(step))
    except (Broken, OSError):
        return False
    return True


def restore_params(
    folder: Path, step: int, abstract_params: PyTree, part: str = "params"
) -> PyTree:
    """The parameters alone, float32, as sampling and scoring need them.

    `part` is `params`, or `ema` for their average. `abstract_params` says shapes,
    dtypes and, if not the default device, where to. Errors: `StorageFailed` when the
    checkpoint is broken, `Refused` when another model's.
    """
    place = folder / str(step)
    try:
        record = verify(place)
    except (Broken, OSError) as error:
        others = [str(other) for other in steps_in(folder) if other != step]
        hint = f"other steps here: {', '.join(others)}" if others else None
        raise StorageFailed(f"{place}: broken checkpoint: {error}", hint) from error
    wanted = {part: arrays.named(abstract_params)}
    _refuse_other_model(place, record, wanted)
    parts = arrays.read(place, wanted)
    return arrays.unnamed(parts[part], like=abstract_params)


def _refuse_other_model(
    place: Path, record: Record, abstract: dict[str, arrays.Named]
) -> None:
    """Errors: Refused where the wanted parts have other arrays than these."""
    wanted = arrays.described(abstract)
    parts = tuple(f"{part}." for part in abstract)
    there = {k: v for k, v in record.arrays.items() if k.startswith(parts)}
    if differences := arrays.differences(there, wanted, "checkpoint"):
        raise Refused(
            f"{place}: checkpoint of another model: {differences}",
            "use the recipe that it was trained with",
        )


def _sweep(unfinished: Path) -> None:
    """Remove what a save that failed has left; orbax writes beside its place first.

    It gives up without waiting for all of its writers: what they still add is removed
    when they are through, for two seconds at most.
    """
    for _ in range(100):
        left = [unfinished, *unfinished.parent.glob(f"{unfinished.name}.*")]
        there = [path for path in left if path.exists()]
        if not there:
            return
        for path in there:
            shutil.rmtree(path, ignore_errors=True)
        time.sleep(0.02)


def _numbered(folder: Path) -> list[int]:
    """The steps that name a folder in `folder`, ascending."""
    names = (path.name for path in folder.glob("*") if path.is_dir())
    return sorted(int(name) for name in names if name.isdecimal())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
