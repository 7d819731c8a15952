"""Manifest of a folder of clips: settings, splits, shards and checksums."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from svtcli.clips.format import Shard
from svtcli.failure import BadData, Refused
from svtcli.run.durable import write_atomic

FORMAT = 1
"""Version of the layout; a reader refuses others."""
NAME = "manifest.json"


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


_json = TypeAdapter(Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Declare the clips in `folder` complete."""
    write_atomic(folder / NAME, _json.dump_json(manifest, indent=1).decode() + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of prepared clips.

    Errors: `Refused` where there are none, `BadData` where it cannot be read.
    """
    path = folder / NAME
    if not path.is_file():
        what = "no prepared clips here" if folder.is_dir() else "no such folder"
        raise Refused(
            f"{folder}: {what} ({NAME} is missing)",
            f"prepare them with: svt prepare folder --source VIDEOS --out {folder}",
        )
    try:
        manifest = _json.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadData(
            f"{path}: not a manifest of clips ({where}: {first['msg']})"
        ) from error
    if manifest.format != FORMAT:
        raise BadData(
            f"{path}: clips of format {manifest.format}, this svt reads {FORMAT}",
            "prepare them again with --force",
        )
    return manifest
