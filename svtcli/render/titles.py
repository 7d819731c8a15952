"""Titles of clips in pictures: "bikes, frame 175" for videos/bikes.mp4@175."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from svtcli.video.file_kinds import BY_ENDING

NAME = re.compile(r"(.+?)(?:#(\d+))?(?:@(\d+))?", re.DOTALL)
"""A clip's name: file, number of the clip in it, frame at which it begins."""


def titles(clips: Sequence[str]) -> tuple[str, ...]:
    """Short titles of clips, by their names in the dataset.

    As much of the folders as tells all of them apart.
    """
    deepest = max((len(PurePosixPath(clip).parts) for clip in clips), default=1)
    for depth in range(1, deepest + 1):
        found = tuple(_title(clip, depth) for clip in clips)
        if len({*found}) == len({*clips}):
            return found
    return tuple(clips)


def _title(clip: str, depth: int) -> str:
    """The title with the last `depth` names of the file's path."""
    match = NAME.fullmatch(clip)
    if match is None:
        return clip
    name, number, frame = match.groups()
    file = PurePosixPath(name)
    if number is None and file.name.isdecimal() and file.parent.name:
        file, number = file.parent, file.name  # "test/000021", the clip of a split
    if file.suffix.lower() in BY_ENDING:
        file = file.with_suffix("")
    words = ["/".join(file.parts[-depth:])]
    words += [f"clip {int(number)}"] if number is not None else []
    words += [f"frame {frame}"] if frame is not None else []
    return ", ".join(words)
