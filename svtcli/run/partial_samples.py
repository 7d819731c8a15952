"""What is finished of samples in the making: a folder of work beside their own.

.NAME.work/<SHA-256>.npz    some finished videos, named by the checksum of the file:
    plan      fingerprint of what is being made
    rows      int64    [n]              which of the N·M videos they are
    video     uint8    [n, F, H, W, C]
    nats      float32  [n, F]
    passes    int64    [n]
    pixels    int64    []               made in each video
.NAME.work/whole/           the samples' folder while it is written
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import ClassVar
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float32, Int, UInt8

from svtcli.run.durable import sync_path, write_atomic
from svtcli.run.partial import WorkFolder
from svtcli.run.samples import Samples, write_samples


@dataclass(frozen=True)
class Finished:
    """Some of the videos of a plan."""

    rows: Int[np.ndarray, " n"]
    """Which of all videos they are."""
    video: UInt8[np.ndarray, "n F H W I"]
    nats: Float32[np.ndarray, "n F"]
    """Of each frame; 0 for given ones."""
    passes: Int[np.ndarray, " n"]
    """In how many passes of the decoder each was made."""
    pixels: int
    """How many positions were made in each."""

    @property
    def pixels_per_pass(self) -> float:
        """How many positions a pass made final, on average over these videos."""
        return self.pixels * len(self.passes) / int(self.passes.sum())


@dataclass(frozen=True)
class KeptSamples(WorkFolder):
    """The finished videos of `plan`, a fingerprint, whose samples go to `out`."""

    made: ClassVar[str] = "samples"

    def holds(self, place: Path) -> bool:
        """Whether `keep` has written the file, and just so."""
        return self._read(place) is not None

    def keep(self, finished: Finished) -> None:
        """Have these videos on the disk."""
        content = BytesIO()
        np.savez(content, plan=np.array(self.plan), **asdict(finished))
        whole = content.getvalue()
        write_atomic(self.folder / f"{sha256(whole).hexdigest()}.npz", whole)

    def rows(self) -> Int[np.ndarray, " n"]:
        """Which videos are finished, ascending."""
        return _which(list(self._all()))[0]

    def all_of(self, number: int) -> Finished | None:
        """All videos of a plan of so many, in order; None while one is missing."""
        parts = list(self._all())
        found, where = _which(parts)
        if len(found) < number:
            return None
        return Finished(
            found,
            np.concatenate([part.video for part in parts])[where],
            np.concatenate([part.nats for part in parts])[where],
            np.concatenate([part.passes for part in parts])[where],
            parts[0].pixels,
        )

    def publish(self, samples: Samples) -> None:
        """Put the samples in their place, at once, and what was kept away."""
        whole = self.folder / "whole"
        write_samples(whole, samples)
        whole.rename(self.out)
        sync_path(self.out.parent)
        shutil.rmtree(self.folder)

    def _all(self) -> Iterator[Finished]:
        for place in sorted(self.folder.glob("*.npz")):
            if finished := self._read(place):
                yield finished

    def _read(self, place: Path) -> Finished | None:
        """What `keep` has written there; None if it is anything else, or broken."""
        try:
            content = place.read_bytes()
            if sha256(content).hexdigest() != place.stem:
                return None
            with np.load(BytesIO(content), allow_pickle=False) as arrays:
                facts = dict(arrays)
            if facts.pop("plan") != self.plan:
                return None
            return Finished(**{**facts, "pixels": int(facts["pixels"])})
        except (OSError, ValueError, KeyError, TypeError, BadZipFile):
            return None


def _which(
    parts: list[Finished],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The videos that are in `parts`, ascending, and where each is among theirs."""
    rows = np.concatenate([np.empty(0, int), *(part.rows for part in parts)])
    found, where = np.unique(rows, return_index=True)
    return found, where
