"""What a folder of clips holds and what made it: `manifest.json`, written last.

manifest.json                          its presence means "whole"
failures.jsonl                         videos that gave no clips, and why
train-00000-of-00002.frames.npy        uint8 [frames, H, W, C], clips back to back
train-00000-of-00002.offsets.npy       int64 [clips + 1], where each clip begins
train-00000-of-00002.actions.npy       float32 [frames, A], where there are any
train-00000-of-00002.states.npy        float32 [frames, A], where there are any
train-00000-of-00002.meta.jsonl        one line per clip: its name and its source
train.digits.npy                       instead of all these, where clips are drawn
report.json                            how the preparation went, for people
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from svtcli.clips.bouncing import Drawn
from svtcli.failure import BadData, Refused
from svtcli.run.durable import write_atomic

FORMAT = 1
"""Version of the layout; a reader refuses others."""
NAME = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One group of files; `files` maps each ending to its CRC-32C."""

    name: str
    clips: int
    frames: int
    files: dict[str, str]


@dataclass(frozen=True)
class Split:
    """The clips of one split: `train`, `val`, `test`, …"""

    clips: int
    frames: int
    shards: tuple[Shard, ...]
    drawn: Drawn | None = None
    """In place of shards: what its clips are drawn from when they are read."""

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all its files."""
        drawn = () if self.drawn is None else (self.drawn.digits,)
        stored = (f"{s.name}.{ending}" for s in self.shards for ending in s.files)
        return (*drawn, *stored)


@dataclass(frozen=True)
class Manifest:
    """Everything that `svt prepare` knows about the clips it made."""

    spec: dict[str, Any]
    """The settings that made them, as the recipe states them."""
    inventory: str
    """Fingerprint of the list of source files."""
    shape: tuple[int, int, int]
    """Height, width, channels of a frame."""
    splits: dict[str, Split]
    failures: dict[str, int]
    """How many videos gave no clips (or no clips for one split), by reason."""
    fingerprint: str
    """Of the settings and of every byte of every shard."""
    lower_bound: dict[str, float] = field(default_factory=dict)
    """Moving MNIST: H(z, z) of each split in nats per predicted frame (A.1)."""
    notes: tuple[str, ...] = ()
    """What a reader of numbers should know about the source."""
    beside: dict[str, int] = field(default_factory=dict)
    """Float32 numbers per frame beside the pixels: `actions`, `states`."""
    order: str = ""
    """Fingerprint of which source is in which shard."""
    pixels: str = ""
    """How frames were made of pictures: crop, filter, frame rate."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of svt and of the libraries that made the pixels."""
    format: int = FORMAT


_json = TypeAdapter(Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Declare the clips in `folder` finished."""
    write_atomic(folder / NAME, _json.dump_json(manifest, indent=1).decode() + "\n")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of prepared clips.

    Errors: `Refused` where there are none, `BadData` where it cannot be read.
    """
    path = folder / NAME
    if not path.is_file():
        what = "no prepared clips here" if folder.is_dir() else "no such folder"
        raise Refused(
            f"{folder}: {what} ({NAME} is missing)",
            "make them with: svt prepare folder --source VIDEOS --out " + str(folder),
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
