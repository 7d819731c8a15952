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

The manifest has its own checksum, and those of all other files but the report; what is
read is compared with them first.
"""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt32
from pydantic import TypeAdapter, ValidationError

from svtcli.failure import BadData, Refused
from svtcli.run.durable import check_file, fingerprint, read_record, write_record
from svtcli.run.lock import refuse_held
from svtcli.run.names import typed
from svtcli.run.progress import counted

FORMAT = 1
"""Version of the layout; a reader refuses others."""
MANIFEST = "manifest.json"
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


@dataclass(frozen=True)
class BouncingDigits:
    """Settings of a split whose clips are generated when they are read (A.1)."""

    digits: str
    """Name of the file with the digits: uint8 [n, 28, 28]."""
    crc32c: str
    """Checksum of that file."""
    count: int
    """Digits in a clip."""
    seed: int
    frames: int
    """Frames of each clip."""


@dataclass(frozen=True)
class Split:
    """Clips of one split: `train`, `val`, `test`, …"""

    clips: int
    frames: int
    shards: tuple[Shard, ...]
    drawn: BouncingDigits | None = None
    """In place of shards, where clips are generated when they are read."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all its files."""
        digits = () if self.drawn is None else (self.drawn.digits,)
        return (*digits, *(name for s in self.shards for name in s.file_names))


@dataclass(frozen=True)
class Manifest:
    """Facts about prepared clips, as `svt prepare` wrote them."""

    spec: dict[str, Any]
    """Settings that decide the clips, as the recipe states them."""
    inventory: str
    """Fingerprint of the list of source files."""
    shape: tuple[int, int, int]
    """Height, width, channels of a frame."""
    splits: dict[str, Split]
    failures: dict[str, int]
    """Number of videos that gave no clips (or none for one split), by reason."""
    fingerprint: str
    """Fingerprint of the settings and of every byte of every shard."""
    lower_bound: dict[str, float] = field(default_factory=dict)
    """Moving MNIST: H(z, z) of each split in nats per predicted frame (A.1)."""
    notes: tuple[str, ...] = ()
    """Facts about the source that a reader of scores should know."""
    beside: dict[str, int] = field(default_factory=dict)
    """Float32 values per frame beside the pixels: `actions`, `states`."""
    order: str = ""
    """Fingerprint of the assignment of sources to shards."""
    pixels: str = ""
    """Path from source pictures to frames: crop, filter, frame rate."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of svt and of the libraries that produced the pixels."""
    format: int = FORMAT
    files: dict[str, str] = field(default_factory=dict)
    """CRC-32C of each file that is of no split: `failures.jsonl`, if there is one."""


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


def remedy(folder: Path) -> str:
    """Hint for files of prepared clips that have changed."""
    verify = f"{typed('svt', 'prepare', 'verify', folder)} lists what has changed"
    return f"{verify}; restore it from a copy, or {remove_first(folder)}"


def remove_first(folder: Path) -> str:
    """Advice on preparing clips anew, which `svt run` does only where none are."""
    return f"prepare the clips again after: rm -r {shlex.quote(str(folder))}"


def check_shard_file(folder: Path, shard: Shard, ending: str) -> Path:
    """Compare a file of a shard with its checksum; return its path. Errors: BadData."""
    path = folder / f"{shard.name}.{ending}"
    check_file(path, shard.files.get(ending, ""), remedy(folder))
    return path


def read_offsets(folder: Path, shard: Shard) -> Int64[np.ndarray, " n"]:
    """Read the first frame of each clip of a shard, and the end of the last clip.

    Errors: `BadData`.
    """
    path = check_shard_file(folder, shard, "offsets.npy")
    offsets: np.ndarray = np.load(path, allow_pickle=False)
    if (len(offsets), offsets[-1]) != (shard.clips + 1, shard.frames):
        raise BadData(f"{path}: not of {counted(shard.clips, 'clip')}", remedy(folder))
    return offsets


def read_facts(folder: Path, shard: Shard) -> list[ClipFacts]:
    """Read the facts of each clip of a shard. Errors: `BadData`."""
    checksum = shard.files.get("meta.jsonl", "")
    return _read_facts(folder / f"{shard.name}.meta.jsonl", checksum)


@lru_cache(maxsize=4)
def _read_facts(path: Path, checksum: str) -> list[ClipFacts]:
    check_file(path, checksum, remedy(path.parent))
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [ClipFacts(**json.loads(line)) for line in lines]


def read_checksums(folder: Path, shard: Shard) -> UInt32[np.ndarray, " n"]:
    """Read the CRC-32C of each clip of a shard, the last fact in its line.

    Errors: `BadData`.
    """
    path = check_shard_file(folder, shard, "meta.jsonl")
    lines = path.read_bytes().split(b"\n")[:-1]
    return np.array([int(line[-10:-2], 16) for line in lines], np.uint32)


_json = TypeAdapter(Manifest)
OLDER = frozenset(each.name for each in fields(Manifest)) - {"files"}
"""Keys of manifests from before they had a checksum."""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Declare the clips in `folder` complete."""
    write_record(folder / MANIFEST, _json.dump_python(manifest, mode="json"))


def refuse_unfinished(folder: Path) -> None:
    """Require that nobody prepares clips in `folder` now. Errors: `Locked`."""
    for place in (folder, *folder.glob(".work/task-*")):
        with suppress(OSError):  # a read-only disk, where nobody does
            refuse_held(place)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of prepared clips.

    Errors: `Refused` where there are none, `Locked` while they are being prepared,
    `BadData` where it cannot be read.
    """
    path, again = folder / MANIFEST, remove_first(folder)
    if not path.is_file():
        refuse_unfinished(folder)
        what = "no prepared clips here" if folder.is_dir() else "no such folder"
        raise Refused(
            f"{folder}: {what} ({MANIFEST} is missing)",
            "clips are prepared with svt prepare, or with svt run RECIPE --to prepare",
        )
    values = read_record(path, again, unsealed=OLDER)
    if (there := values.get("format", FORMAT)) != FORMAT:
        what = f"clips of format {there}, this svt reads {FORMAT}"
        raise BadData(f"{path}: {what}", again)
    try:
        manifest = _json.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"not a manifest of this svt ({where}: {first['msg']})"
        raise BadData(f"{path}: {what}", again) from error
    if "files" not in values and manifest.fingerprint != fingerprint_of(manifest):
        raise BadData(f"{path}: has changed since it was written", again)
    return manifest


def fingerprint_of(manifest: Manifest) -> str:
    """Fingerprint of the settings and of every byte of every shard."""
    layout = Layout(manifest.shape, manifest.beside)
    return fingerprint(manifest.spec, layout, manifest.splits)
