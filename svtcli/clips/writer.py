"""Write a shard: clips of any length back to back in plain `.npy` files.

Frames are appended as they come, so memory stays flat; the `.npy` header has a fixed
length and is written last, when the number of frames is known. Every file is written
under a temporary name, synced, and renamed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import BinaryIO

import google_crc32c
import numpy as np
from jaxtyping import Float, UInt8

from svtcli.clips.format import (
    FLOAT,
    HEADER,
    OFFSET,
    PIXEL,
    ClipFacts,
    Layout,
    Shard,
    npy_header,
)
from svtcli.failure import BadData
from svtcli.run.durable import crc32c, replacing, sync_file, sync_path

FRAMES_AT_ONCE = 256
AGAIN = "prepare the clips again with --force"
NOTHING: Mapping[str, np.ndarray] = MappingProxyType({})


class ArrayFile:
    """An `.npy` file that grows along its first axis; a context manager."""

    def __init__(self, path: Path, dtype: np.dtype, row: tuple[int, ...]) -> None:
        self.path, self.dtype, self.row, self.rows = path, dtype, row, 0
        self._aside = path.with_name(path.name + ".tmp")
        self._file: BinaryIO = self._aside.open("wb")
        self._file.write(bytes(HEADER))

    def append(self, array: np.ndarray) -> int:
        """Add rows, read piece by piece from a memory map; return their CRC-32C."""
        if array.shape[1:] != self.row or array.dtype != self.dtype:
            raise ValueError(
                f"{array.dtype}{array.shape} is not {self.dtype}{self.row}"
            )
        checksum = 0
        for start in range(0, len(array), FRAMES_AT_ONCE):
            piece = array[start : start + FRAMES_AT_ONCE].tobytes()
            checksum = google_crc32c.extend(checksum, piece)
            self._file.write(piece)
        self.rows += len(array)
        return checksum

    def close(self) -> str:
        """Complete the file under its own name; return its checksum."""
        self._file.seek(0)
        self._file.write(npy_header(self.dtype, (self.rows, *self.row)))
        sync_file(self._file)
        self._file.close()
        checksum = crc32c(self._aside)
        self._aside.replace(self.path)
        return checksum

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self._aside.unlink(missing_ok=True)


class ShardWriter:
    """Writes the files of one shard; a context manager that keeps all or none."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        self._folder, self._name = folder, name
        self._frames = self._array("frames", PIXEL, layout.shape)
        self._beside = {
            ending: self._array(ending, FLOAT, (size,))
            for ending, size in layout.beside.items()
        }
        self._offsets, self._facts = [0], list[ClipFacts]()
        self.shard: Shard | None = None
        """The shard, once the context has ended without an error."""

    def _array(self, ending: str, dtype: np.dtype, row: tuple[int, ...]) -> ArrayFile:
        return ArrayFile(self._folder / f"{self._name}.{ending}.npy", dtype, row)

    def add(
        self,
        facts: ClipFacts,
        video: UInt8[np.ndarray, "F H W C"],
        beside: Mapping[str, Float[np.ndarray, "F A"]] = NOTHING,
    ) -> None:
        """Append one clip of at least one frame, and its values beside each frame.

        Errors: `BadData` for frames that are not those of a checksum in `facts`.
        """
        if not len(video):
            raise ValueError(f"{facts.id}: a clip has at least one frame")
        if beside.keys() != self._beside.keys():
            raise ValueError(f"{facts.id}: not the {list(self._beside)} of the layout")
        for name, values in beside.items():
            if len(values) != len(video):
                raise ValueError(f"{facts.id}: {len(values)} {name}, {len(video)}")
        checksum = f"{self._frames.append(video):08x}"
        if facts.crc32c not in (None, checksum):
            raise BadData(f"{facts.id}: has changed since it was prepared", AGAIN)
        for name, values in beside.items():
            self._beside[name].append(values.astype(FLOAT))
        self._offsets.append(self._offsets[-1] + len(video))
        self._facts.append(replace(facts, crc32c=checksum))

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None or not self._facts:
            for array in (self._frames, *self._beside.values()):
                array.discard()
            return
        files = {"frames.npy": self._frames.close()}
        for name, array in self._beside.items():
            files[f"{name}.npy"] = array.close()
        offsets = self._array("offsets", OFFSET, ())
        offsets.append(np.array(self._offsets, OFFSET))
        files["offsets.npy"] = offsets.close()
        files["meta.jsonl"] = self._write_meta()
        sync_path(self._folder)
        clips, frames = len(self._facts), self._offsets[-1]
        self.shard = Shard(self._name, clips, frames, files)

    def _write_meta(self) -> str:
        path = self._folder / f"{self._name}.meta.jsonl"
        with replacing(path) as aside, aside.open("wb") as file:
            for facts in self._facts:
                known = {k: v for k, v in asdict(facts).items() if v is not None}
                file.write(json.dumps(known, ensure_ascii=False).encode() + b"\n")
        return crc32c(path)
