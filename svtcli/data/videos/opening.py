"""Finds out what a source of videos is, and opens it."""

from pathlib import Path

from svtcli.data.videos.arrays import open_npy
from svtcli.data.videos.source import Videos
from svtcli.failure import Refused


def open_videos(
    source: str,
    frames: int | None = None,
    allow_lossy: bool = False,
    truth: bool = False,
) -> Videos:
    """The videos that `source` names; `frames` of each, None for all they have.

    Errors: `Refused` for what cannot be taken as videos, `BadData` for damage.
    """
    path = Path(source)
    if path.suffix == ".npy" and path.is_file():
        return open_npy(path, source, frames)
    raise Refused(f"{source}: no videos there")
