"""Opens prepared clips of one split."""

import re
from pathlib import Path

from svtcli.clips.manifest import read_manifest
from svtcli.clips.on_the_fly import open_drawn
from svtcli.clips.reader import Clips
from svtcli.clips.stored import open_stored
from svtcli.failure import Refused

__all__ = ["Clips", "open_clips"]


def open_clips(
    folder: Path, split: str, labels: re.Pattern[str] | None = None
) -> Clips:
    """The clips of one split of a prepared folder, of these `labels` only.

    Errors: `Refused` where the folder or the split does not exist, or no label matches;
    `BadData` where a file is missing or does not have the size that the manifest says.
    """
    manifest = read_manifest(folder)
    if split not in manifest.splits:
        raise Refused(
            f"{folder}: no split '{split}'; it has {', '.join(manifest.splits)}"
        )
    if (drawn := manifest.splits[split].drawn) is not None:
        if labels is not None:
            raise Refused(f"{folder}: clips of split {split} carry no labels")
        return open_drawn(folder, manifest, split, drawn)
    clips = open_stored(folder, manifest, split)
    return clips if labels is None else clips.chosen(labels)
