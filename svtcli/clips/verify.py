"""Compare every file of prepared clips with its checksum (`svt prepare verify`)."""

from itertools import pairwise
from math import prod
from pathlib import Path

import google_crc32c

from svtcli.clips.format import (
    HEADER,
    Manifest,
    Shard,
    read_facts,
    read_manifest,
    read_offsets,
    remove_first,
)
from svtcli.clips.reader import open_clips
from svtcli.failure import BadData
from svtcli.run.durable import crc32c
from svtcli.run.progress import Progress, counted, listed

NAMED = 5
"""Maximum number of changed clips of one shard that are named."""


def verify(folder: Path, progress: Progress) -> int:
    """Compare the checksum of every file and clip; return the number of clips.

    Errors: `BadData`, which names every file that is missing or has changed, and the
    changed clips in it.
    """
    manifest = read_manifest(folder)
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    changes: list[str] = []
    progress.begin("verify", len(shards), "shards")
    for done, shard in enumerate(shards, start=1):
        for ending, checksum in shard.files.items():
            if change := _change(folder / f"{shard.name}.{ending}", checksum):
                changes.append(change + _changed_clips(folder, manifest, shard, ending))
        progress.advance(done)
    progress.end()
    drawn = [s.drawn for s in manifest.splits.values() if s.drawn is not None]
    others = {each.digits: each.crc32c for each in drawn} | manifest.files
    changes += [_change(folder / name, crc) for name, crc in others.items()]
    if any(changes):
        what = "; ".join(filter(None, changes))
        again = f"restore from a copy, or {remove_first(folder)}"
        raise BadData(f"{folder}: {what}", again)
    return sum(len(open_clips(folder, split)) for split in manifest.splits)


def _change(path: Path, checksum: str) -> str:
    """Describe the change of a file; empty if there is none."""
    if not path.is_file():
        return f"{path.name} is missing"
    if (now := crc32c(path)) != checksum:
        return f"{path.name} has changed ({now}, was {checksum})"
    return ""


def _changed_clips(folder: Path, manifest: Manifest, shard: Shard, ending: str) -> str:
    """Name the changed clips of a frames file, as the end of a sentence."""
    frames = folder / f"{shard.name}.{ending}"
    if ending != "frames.npy" or not frames.is_file():
        return ""
    try:
        facts = read_facts(folder, shard)
        offsets = read_offsets(folder, shard)
    except BadData:
        return ""
    row, changed = prod(manifest.shape), []
    with frames.open("rb") as file:
        file.seek(HEADER)
        for about, (first, last) in zip(facts, pairwise(offsets), strict=True):
            now = google_crc32c.value(file.read(int(last - first) * row))
            if about.crc32c != f"{now:08x}":
                changed.append(about.id)
    return f", {counted(len(changed), 'clip')}: {listed(changed, NAMED)}"
