"""Contents of a source of one's own, by its headers: what a new recipe has to fit."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import numpy as np

from svtcli.clips.format import MANIFEST, read_manifest
from svtcli.clips.reader import open_clips
from svtcli.failure import BadData, Refused
from svtcli.prepare.plan import Failed
from svtcli.prepare.sources import arrays
from svtcli.prepare.sources.array_clips import ArraysTask
from svtcli.prepare.sources.folder import find_videos
from svtcli.prepare.sources.source_folder import (
    PACKAGE,
    SURROGATE,
    Video,
    list_videos,
)
from svtcli.recipe.data import ArraysData, FolderData
from svtcli.recipe.validate import settings_of_kind
from svtcli.run.progress import Progress, counted, plural
from svtcli.video.array_files import ENDINGS
from svtcli.video.decode import Undecodable, VideoFacts
from svtcli.video.file_kinds import VIDEO, kind_of

OTHER_ARRAYS = (
    "svt init takes bytes with the axes N T H W C; prepare others with svt prepare "
    "arrays and its --layout and --range, then: svt init --source clips/NAME"
)
MOST_HEADERS = 1000
"""Most videos whose headers are read, spread evenly over the source."""
COUNT_SECONDS = 10.0
"""Time to count the frames of videos whose headers state no length."""


@dataclass(frozen=True)
class Contents:
    """Videos, arrays of clips, or prepared clips."""

    data: dict[str, Any]
    """Keys of a recipe's section `data` that name and describe the source."""
    told: str
    """Description: number, sizes, lengths and rates."""
    side: int
    """Shorter side of a frame in pixels, the median; exactly so of prepared clips."""
    videos: tuple[tuple[str, VideoFacts], ...] = ()
    """Names and headers of the videos that could be read; clips are cut from them."""
    clips: dict[str, int] | None = None
    """Number of clips of each split, where they are cut already."""
    frames: int = 0
    """Frames of a clip, where they are cut already: the median."""
    channels: int = 3
    actions: int = 0
    """Numbers of action per frame."""
    scale: float = 1.0
    """Videos in all for one whose header was read."""
    unreadable: tuple[Failed, ...] = ()
    notes: tuple[str, ...] = ()


def look(source: str, progress: Progress) -> Contents:
    """Read the headers of a source: a folder or file of videos or arrays, or clips.

    Errors: `Refused` where there is none, or nothing to prepare in it; `BadData` where
    nothing can be read.
    """
    if not source:
        raise Refused("--source: names no folder", "for example: --source videos")
    if SURROGATE.search(source):
        raise Refused(
            f"{source}: not a name in UTF-8, which a recipe needs",
            "rename it, or name a link that leads there",
        )
    path = Path(source).expanduser() if not source.startswith(PACKAGE) else Path()
    if (path / MANIFEST).is_file():
        return _of_clips(path)
    if path.suffix.lower() in ENDINGS or _holds_arrays(path):
        return _of_arrays(source)
    data: dict[str, Any] = {"kind": "folder", "source": source}
    if path.is_file() and kind_of(str(path)) == VIDEO:
        name = f"^{re.escape(path.name)}$"
        data |= {"source": str(path.parent), "match": name}
    return _of_videos(data, progress)


def _holds_arrays(path: Path) -> bool:
    """Tell a folder with files of arrays, and without videos."""
    if not path.is_dir() or list_videos(path, frames=True).videos:
        return False
    return bool(list_videos(path, ENDINGS).videos)


def _of_videos(data: dict[str, Any], progress: Progress) -> Contents:
    """Contents of a folder of videos, or of numbered pictures."""
    progress.begin("look for videos")
    try:
        listing = find_videos(FolderData(**data))
        places = np.linspace(0, len(listing.videos) - 1, MOST_HEADERS).round()
        some = [listing.videos[int(place)] for place in dict.fromkeys(places)]
        progress.begin("read headers", len(some), "videos")
        read, unreadable = _headers(some, progress)
    finally:
        progress.end()
    found = len(listing.videos)
    if not read:
        raise BadData(
            f"{data['source']}: none of {counted(found, 'video')} can be read; the "
            f"first: {unreadable[0]}"
        )
    count = counted(found, "video")
    if len(some) < found:
        count += f" ({len(some)} looked at)"
    if unreadable:
        count += f" ({len(unreadable)} cannot be read)"
    facts = [header for _, header in read]
    sides = [(each.width, each.height) for each in facts]
    told = [count, _pixels(sides), _lengths(facts), _rates(facts)]
    return Contents(
        data=data,
        told=", ".join(filter(None, told)),
        side=int(median(map(min, sides))),
        videos=tuple(read),
        scale=found / len(some),
        unreadable=tuple(unreadable),
        notes=listing.notes,
    )


def _headers(
    videos: Sequence[Video], progress: Progress
) -> tuple[list[tuple[str, VideoFacts]], list[Failed]]:
    """Read the header of each video; those that have none are failures.

    Where headers state no length, frames are counted, or taken to be the median.
    """
    read, unreadable, until = [], [], monotonic() + COUNT_SECONDS
    for number, video in enumerate(videos, 1):
        try:
            with video.open() as opened:
                facts = opened.facts
                if not facts.frames and monotonic() < until:
                    facts = replace(facts, frames=opened.count_frames())
            read.append((video.name, facts))
        except Undecodable as error:
            unreadable.append(Failed(video.name, error.reason, error.detail))
        progress.advance(number)
    known = [facts.frames for _, facts in read if facts.frames]
    usual = int(median(known or [0]))
    return [
        (name, replace(f, frames=f.frames or usual)) for name, f in read
    ], unreadable


def _of_arrays(source: str) -> Contents:
    """Contents of files of arrays. Errors: `Refused`, `BadData`."""
    data: dict[str, Any] = {"kind": "arrays", "source": source}
    try:
        plan = arrays.make_plan(ArraysData(**data))
    except Refused as refusal:
        try:  # Names of files or folders may state the splits.
            plan = arrays.make_plan(ArraysData(**data, split="name"))
        except Refused:
            raise Refused(refusal.sentence, OTHER_ARRAYS) from None
        data["split"] = "name"
    tasks = [task for group in plan.groups for task in group.tasks]
    found = {t.arrays.name: t.arrays for t in tasks if isinstance(t, ArraysTask)}
    clips = [
        (f"{each.name}#{number}", VideoFacts(s["W"], s["H"], None, "", s["T"]))
        for each in found.values()
        for s in [each.sizes]
        for number in range(min(s["N"], MOST_HEADERS))
    ]
    splits = Counter(s for t in tasks if isinstance(t, ArraysTask) for s in t.splits)
    total = splits.total()
    facts = [header for _, header in clips]
    actions = plan.layout.beside.get("actions", 0)
    told = [
        f"{counted(total, 'clip')} in {counted(len(found), 'file')}",
        _pixels([(each.width, each.height) for each in facts]),
        _lengths(facts),
        f"{counted(actions, 'number')} of action a frame" if actions else "",
    ]
    return Contents(
        data=data,
        told=", ".join(filter(None, told)),
        side=int(median(min(each.width, each.height) for each in facts)),
        videos=tuple(clips),
        clips={str(s): splits[s] for s in splits if s} if "split" in data else None,
        frames=min(each.frames for each in facts),
        actions=actions,
        scale=total / len(clips),
        unreadable=plan.unusable,
        notes=plan.notes,
    )


def _of_clips(folder: Path) -> Contents:
    """Contents of prepared clips, which stay where they are."""
    manifest = read_manifest(folder)
    lengths = [open_clips(folder, split).lengths for split in manifest.splits]
    frames = [int(n) for each in lengths for n in each[:MOST_HEADERS]]
    clips = {name: split.clips for name, split in manifest.splits.items()}
    if "train" not in clips:
        raise Refused(f"{folder}: these clips have no split 'train'")
    side, _, channels = manifest.shape
    told = ", ".join(f"{n} {split}" for split, n in clips.items())
    return Contents(
        data=_stated(manifest.spec) | {"clips": str(folder)},
        told=f"prepared clips ({told}), {side} x {side}, {_frames(frames)}",
        side=side,
        clips=clips,
        frames=int(median(frames)),
        channels=channels,
        actions=manifest.beside.get("actions", 0),
    )


def _stated(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of prepared clips that are not their defaults, and their kind."""
    defaults = {each.name: each.default for each in settings_of_kind(spec["kind"])}
    return {
        key: value
        for key, value in spec.items()
        if key == "kind" or json.dumps(value) != json.dumps(defaults.get(key))
    }


def _pixels(sizes: Iterable[tuple[int, int]]) -> str:
    """Widths and heights: `640 x 360`, or the smallest and the largest one."""
    ordered = sorted(set(sizes), key=lambda size: size[0] * size[1])
    ends = dict.fromkeys((ordered[0], ordered[-1]))
    return " to ".join(f"{width} x {height}" for width, height in ends)


def _lengths(facts: Sequence[VideoFacts]) -> str:
    """Lengths in seconds, or in frames where no rate is stated."""
    if seconds := [f.frames / f.fps for f in facts if f.frames and f.fps]:
        return f"{_span(seconds)} s"
    return _frames([each.frames for each in facts if each.frames])


def _rates(facts: Sequence[VideoFacts]) -> str:
    rates = [each.fps for each in facts if each.fps]
    return f"{_frames(rates)}/s" if rates else ""


def _frames(numbers: Sequence[int | float]) -> str:
    """Smallest and largest number of frames; empty without any."""
    return f"{_span(numbers)} {plural(max(numbers), 'frame')}" if numbers else ""


def _span(numbers: Sequence[int | float]) -> str:
    """Smallest and largest number: `16`, `3.9 to 12`."""
    ends = (f"{each:.3g}" for each in (min(numbers), max(numbers)))
    return " to ".join(dict.fromkeys(ends))
