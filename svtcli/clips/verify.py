"""`svt prepare verify`: reads everything again and says what is not as it was."""

from itertools import pairwise
from pathlib import Path

import google_crc32c

from svtcli.clips.manifest import Manifest, Shard, read_manifest
from svtcli.clips.opening import open_clips
from svtcli.clips.stored import read_facts, read_offsets
from svtcli.clips.writer import HEADER
from svtcli.failure import BadData, StorageFailed
from svtcli.run.durable import crc32c
from svtcli.run.progress import Progress

NAMED = 5
"""At most so many broken clips of one shard are named."""


def verify(folder: Path, progress: Progress) -> int:
    """Compare the checksum of every file, and of every clip; how many clips hold.

    Errors: `StorageFailed`, which names every file that is missing or has changed, and
    the clips that are broken in it; `BadData` where files contradict each other.
    """
    manifest = read_manifest(folder)
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    wrong: list[str] = []
    progress.begin("verify", len(shards), "shards")
    for done, shard in enumerate(shards, start=1):
        wrong += _changes(folder, manifest, shard)
        progress.advance(done)
    progress.end()
    drawn = [s.drawn for s in manifest.splits.values() if s.drawn is not None]
    changes = (_change(folder / each.digits, each.crc32c) for each in drawn)
    wrong += [change for change in changes if change]
    if wrong:
        raise StorageFailed(f"{folder}: " + "; ".join(wrong), "prepare with --force")
    return sum(len(open_clips(folder, split)) for split in manifest.splits)


def _changes(folder: Path, manifest: Manifest, shard: Shard) -> list[str]:
    """What is wrong with a shard, in words; empty if nothing is."""
    wrong = []
    for ending, checksum in shard.files.items():
        if change := _change(folder / f"{shard.name}.{ending}", checksum):
            wrong.append(change + _broken_clips(folder, manifest, shard, ending))
    return wrong


def _change(path: Path, checksum: str) -> str:
    """How a file is not what it was, in words; empty if it is."""
    if not path.is_file():
        return f"{path.name} is missing"
    if (now := crc32c(path)) != checksum:
        return f"{path.name} has changed ({now}, was {checksum})"
    return ""


def _broken_clips(folder: Path, manifest: Manifest, shard: Shard, ending: str) -> str:
    """Which clips of a frames file are not what they were, as the end of a sentence."""
    frames = folder / f"{shard.name}.{ending}"
    if ending != "frames.npy" or not frames.is_file():
        return ""
    try:
        facts = read_facts(folder / shard.name, shard.clips)
        offsets = read_offsets(folder, shard)
    except BadData:
        return ""
    height, width, channels = manifest.shape
    row, broken = height * width * channels, []
    with frames.open("rb") as file:
        file.seek(HEADER)
        for about, (first, last) in zip(facts, pairwise(offsets), strict=True):
            now = google_crc32c.value(file.read(int(last - first) * row))
            if about.crc32c not in (None, f"{now:08x}"):
                broken.append(about.id)
    more = ", …" if len(broken) > NAMED else ""
    return f", {len(broken)} clips: {', '.join(broken[:NAMED])}{more}"
