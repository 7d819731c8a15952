"""Files of a folder of clips; `manifest.json` is written last and means "complete".

manifest.json                          settings, splits, shards, checksums
failures.jsonl                         videos that gave no clips, and why
train-00000-of-00002.frames.npy        uint8 [frames, H, W, C], clips back to back
train-00000-of-00002.offsets.npy       int64 [clips + 1], first frame of each clip
train-00000-of-00002.actions.npy       float32 [frames, A], where there are any
train-00000-of-00002.states.npy        float32 [frames, A], where there are any
train-00000-of-00002.meta.jsonl        one line per clip: its name and its source
train.digits.npy                       in place of shards: digits of generated clips
report.json                            counts of the preparation, for people
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from svtcli.failure import BadData

HEADER = 128
"""Bytes before the first number of an `.npy` file that svt writes."""
PIXEL, FLOAT, OFFSET = np.dtype(np.uint8), np.dtype("<f4"), np.dtype("<i8")


@dataclass(frozen=True)
class Layout:
    """Contents of one frame of a dataset."""

    shape: tuple[int, int, int]
    """Height, width, channels."""
    beside: Mapping[str, int] = field(default_factory=dict)
    """Float32 values per frame: `actions` of a robot, `states` of its arm."""


@dataclass(frozen=True)
class Shard:
    """One group of files; `files` maps each ending to its CRC-32C."""

    name: str
    clips: int
    frames: int
    files: dict[str, str]

    @property
    def file_names(self) -> list[str]:
        """Names of all its files."""
        return [f"{self.name}.{ending}" for ending in self.files]


@dataclass(frozen=True)
class ClipFacts:
    """Name and origin of a clip."""

    id: str
    """Unique in its dataset and stable: the source, and the first frame of a cut."""
    source: str
    start: int = 0
    """First frame of the clip, counted in the frames kept of the source."""
    label: str | None = None
    width: int | None = None
    """Width of the source in pixels, before crop and resize."""
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    crc32c: str | None = None
    """Checksum of the clip's frames; added by the writer."""


def npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Return the first `HEADER` bytes of an `.npy` file (format 1.0).

    Errors: `ValueError` for a shape that does not fit into them.
    """
    facts = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode()
    start = b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little")
    header = start + facts.ljust(HEADER - 11) + b"\n"
    if len(header) > HEADER:
        raise ValueError(f"a shape of {shape} does not fit a header of {HEADER} bytes")
    return header


def read_offsets(folder: Path, shard: Shard) -> Int64[np.ndarray, " n"]:
    """Read the first frame of each clip of a shard, and the end of the last clip.

    Errors: `BadData`.
    """
    path = folder / f"{shard.name}.offsets.npy"
    try:
        offsets = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    ends = offsets.shape == (shard.clips + 1,) and offsets[[0, -1]].tolist()
    if ends != [0, shard.frames] or not (np.diff(offsets) > 0).all():
        raise BadData(f"{path}: not the offsets of {shard.clips} clips")
    return offsets


@lru_cache(maxsize=4)
def read_facts(shard: Path, clips: int) -> list[ClipFacts]:
    """Read the facts of each clip of a shard. Errors: `BadData`."""
    path = shard.with_name(f"{shard.name}.meta.jsonl")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        facts = [ClipFacts(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    if len(facts) != clips:
        raise BadData(f"{path}: {len(facts)} lines for {clips} clips")
    return facts
