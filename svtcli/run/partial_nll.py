"""What is scored of an evaluation in the making: a folder of work beside its file.

.NAME.work/MODEL-PLAN-CLIPS.npy   the clips of a finished batch, scored by a model:
    clip    int64                 its number in the split
    nats    float64 [F]           of each frame; 0 for given ones

Clips stand by themselves, so that a call goes on with another batch.
"""

import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int

from svtcli.run.durable import write_atomic
from svtcli.run.partial import WorkFolder
from svtcli.run.partial_arrays import KeptArrays


@dataclass(frozen=True)
class KeptNats(WorkFolder):
    """The scored clips of `plan`, a fingerprint, whose evaluation goes to `out`."""

    made: ClassVar[str] = "scores"

    def holds(self, place: Path) -> bool:
        """Whether `keep` has written the file, and just so."""
        ours = place.suffix == ".npy" and self._mark in place.stem
        return ours and self._arrays.get(place.stem) is not None

    def keep(
        self,
        model: str,
        clips: Int[np.ndarray, " n"],
        nats: Float64[np.ndarray, "n F"],
    ) -> None:
        """Have these clips on the disk, as `model` has scored them."""
        scored = np.empty(
            len(clips), [("clip", np.int64), ("nats", np.float64, nats.shape[1:])]
        )
        scored["clip"], scored["nats"] = clips, nats
        which = sha256(scored["clip"].tobytes()).hexdigest()[:16]
        self._arrays.keep(f"{model}{self._mark}{which}", scored)

    def clips(self, model: str) -> Int[np.ndarray, " n"]:
        """Which clips `model` has scored, ascending."""
        parts = [part["clip"] for part in self._parts(model)]
        return np.unique(np.concatenate([np.empty(0, np.int64), *parts]))

    def nats(
        self, model: str, clips: Int[np.ndarray, " N"]
    ) -> Float64[np.ndarray, "N F"] | None:
        """The nats of these clips, each of them once; None while one is missing."""
        parts = self._parts(model)
        if not len(clips) or len(np.setdiff1d(clips, self.clips(model))):
            return None
        scored = np.concatenate(parts)
        found, where = np.unique(scored["clip"], return_index=True)
        nats: Float64[np.ndarray, "N F"] = scored["nats"][where]
        return nats[np.searchsorted(found, clips)]

    def publish(self, evaluation: str) -> None:
        """Put the file in its place, at once, and what was kept away."""
        write_atomic(self.out, evaluation)
        shutil.rmtree(self.folder)

    @property
    def _arrays(self) -> KeptArrays:
        return KeptArrays(self.folder)

    @property
    def _mark(self) -> str:
        """What tells this plan's files from another's."""
        return f"-{self.plan[:32]}-"

    def _parts(self, model: str) -> list[np.ndarray]:
        """What is kept of `model`, the damaged left out."""
        parts = map(self._arrays.get, self._arrays.keys(f"{model}{self._mark}"))
        return [part for part in parts if part is not None]
