"""Kinetics-600 as people have it: clips in folders or flat, with the official lists.

Understood are `<split>/<label>/FILE`, `videos_<split>/<label>/FILE`, `<split>/FILE` and
any folders whose split the lists tell; labels in folder names may have `_` for spaces.
A file is `<youtube id>_<start>_<end>` or `<youtube id>`, with the ending of a video.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from svtcli.clips.format import Layout
from svtcli.failure import Refused
from svtcli.prepare.download import ArchiveList, Offer, Publisher
from svtcli.prepare.plan import Plan, group_tasks, spec_of
from svtcli.prepare.sources.annotations import (
    Annotations,
    Row,
    normal,
    read_annotations,
    split_in,
)
from svtcli.prepare.sources.source_folder import (
    Listing,
    Video,
    list_videos,
    none_there,
    source_folder,
)
from svtcli.prepare.sources.video_file import Cutting, VideoTask, chance
from svtcli.recipe.data import KineticsData
from svtcli.recipe.labels import label_pattern
from svtcli.run.durable import fingerprint
from svtcli.run.progress import counted, filtered

FILE = re.compile(r"(.{11})(?:_(\d{1,6})_(\d{1,6}))?")
"""Id, start, end; an id may hold `_` and start with `-`: a name is never split."""
HOLDER = re.compile(
    r"(part|chunk|split|shard)?[ _-]?\d+"
    r"|raw|data|videos?|clips?|annotations|k[467]00\S*|kinetics\S*|replacement\S*"
)
"""Names of folders that are no label, though they hold videos."""
SHARD_CUTS, SHARD_WHOLE = 256, 64
"""Most videos of a shard with a number of frames of each, and with whole videos."""

K600 = "https://s3.amazonaws.com/kinetics/600/"
PUBLISHER = Publisher(
    tuple(
        Offer(f"{K600}annotations/{name}", f"annotations/{name}", (split,))
        for name, split in (
            ("train.txt", "train"),
            ("val.txt", "val"),
            ("test.csv", "test"),
        )
    ),
    tuple(
        ArchiveList(
            Offer(
                f"{K600}{split}/k600_{split}_path.txt",
                f"archives/{split}/k600_{split}_path.txt",
                (split,),
            ),
            split,
        )
        for split in ("train", "val", "test")
    ),
)
"""About 727 GB of archives (cvdfoundation/kinetics-dataset `k600_downloader.sh`, issue
15). Its README calls `train.csv` and `val.csv` incomplete."""

LAYOUTS = (
    "train/LABEL/FILE, videos_train/LABEL/FILE, train/FILE with lists (and the same "
    "for val, validate and test), or any folders with lists "
    "(label,youtube_id,time_start,time_end,split) that name the split"
)
WHAT_TO_GET = (
    "get Kinetics-600 (about 730 GB) from the archives listed at "
    "https://github.com/cvdfoundation/kinetics-dataset, with its annotations; "
    f"known layouts: {LAYOUTS}. Put it there, or name its place: "
    "--source DIR, or data.source=DIR in a recipe"
)


@dataclass(frozen=True)
class Clip:
    """A video file, with its entry in the lists and its folder's label."""

    video: Video
    key: tuple[str, int | None]
    """YouTube id and start; the file's name where it is named otherwise."""
    row: Row | None
    split: str | None
    label: str | None
    conflict: bool
    """True where the folder's label differs from the list's, which is used."""

    @property
    def id(self) -> str:
        """Unique among the clips that are used."""
        name, start = self.key
        return name if start is None else f"{name}_{start:06d}"


@dataclass(frozen=True)
class Survey:
    """Files of a source, matched with its lists."""

    listing: Listing
    lists: Annotations
    clips: tuple[Clip, ...]
    """First file, by name, of each id and start."""
    duplicates: int


def make_plan(data: KineticsData) -> Plan:
    """Plan the wanted videos. Errors: `Refused` where there are none."""
    survey = survey_source(data)
    pattern = label_pattern(data.subset, data.match)
    cutting = Cutting.of(data)
    most = SHARD_WHOLE if data.frames == "all" else SHARD_CUTS
    chosen = _choose(data, survey, pattern)
    groups = []
    for split, clips in chosen.items():
        tasks = [VideoTask(c.video, cutting, split, c.label, c.id) for c in clips]
        groups += group_tasks(tasks, most, split)
    findings = _findings(data, survey, pattern)
    used = [clip for clips in chosen.values() for clip in clips]
    return Plan(
        spec=spec_of(data),
        inventory=fingerprint(
            sorted(
                (c.video.name, c.video.bytes, c.split, c.label or "", c.id)
                for c in used
            )
        ),
        layout=Layout((data.size, data.size, 3)),
        groups=tuple(groups),
        unit="videos",
        pixels=cutting.pixels,
        notes=_notes(data, survey, chosen, findings, pattern),
        findings=findings | {"used": {s: len(clips) for s, clips in chosen.items()}},
    )


def survey_source(data: KineticsData) -> Survey:
    """Match every file of the source with its lists. Errors: `Refused`."""
    folder = source_folder(data.source, "kinetics", WHAT_TO_GET)
    listing = list_videos(folder)
    if not listing.videos:
        raise none_there(folder, listing, "videos", WHAT_TO_GET)
    lists = read_annotations(folder, filter(_may_be_list, listing.tables))
    read = Counter({"text file": len(lists.files + lists.others)})
    listing = replace(listing, passed_over=Counter(listing.passed_over) - read)
    clips: dict[tuple[str, int | None], Clip] = {}
    for clip in _clips(listing.videos, lists):
        clips.setdefault(clip.key, clip)
    if not any(clip.split for clip in clips.values()):
        others = "".join(f"; {note}" for note in lists.notes)
        raise Refused(
            f"{folder}: no list or folder assigns its "
            f"{counted(len(clips), 'video')} to splits{others}",
            f"known layouts: {LAYOUTS}",
        )
    duplicates = len(listing.videos) - len(clips)
    return Survey(listing, lists, tuple(clips.values()), duplicates)


def _may_be_list(name: str) -> bool:
    """Accept lists at the top, one folder below, or in an `annotations` there."""
    *above, _ = name.split("/")
    return len(above) < 2 or (len(above) == 2 and above[1] == "annotations")


def _clips(videos: tuple[Video, ...], lists: Annotations) -> Iterator[Clip]:
    for video in videos:
        folder, _, file = video.name.rpartition("/")
        split, folder_label = place(folder)
        named = FILE.fullmatch(file.rpartition(".")[0])
        row: Row | None = None
        key: tuple[str, int | None] = (video.name, None)
        if named:
            start = None if named[2] is None else int(named[2])
            row = lists.find(named[1], start)
            known = row.start if row and start is None else start
            key = (named[1], known)
        listed = row.label if row else None
        yield Clip(
            video,
            key,
            row,
            split or (row.split if row else None),
            listed or (lists.spelled(folder_label) if folder_label else None),
            bool(listed and folder_label and normal(listed) != normal(folder_label)),
        )


@lru_cache(maxsize=4096)
def place(folder: str) -> tuple[str | None, str | None]:
    """Split and label of a file by its folder, each None if unknown.

    The topmost folder that names a split counts.
    """
    names = folder.split("/") if folder else []
    splits = [split_in(name) for name in names]
    at = next((i for i, split in enumerate(splits) if split), None)
    last = names[-1] if names else None
    if last is None or at == len(names) - 1 or HOLDER.fullmatch(last.lower()):
        last = None
    return (None if at is None else splits[at]), last


def _choose(
    data: KineticsData, survey: Survey, pattern: re.Pattern[str] | None
) -> dict[str, list[Clip]]:
    """Choose the clips of each split, in the order of their shards."""
    shuffled = sorted(survey.clips, key=lambda c: chance(c.video.name, data.seed))
    chosen = {
        split: [c for c in shuffled if c.split == split and _wanted(c, pattern)]
        for split in ("train", "val", "test")
        if split in data.splits
    }
    if not any(chosen.values()):
        there = Counter(clip.split for clip in survey.clips if clip.split)
        counts = ", ".join(f"{count} {split}" for split, count in there.items())
        of = f" whose class matches '{pattern.pattern}'" if pattern else ""
        raise Refused(
            f"no {' or '.join(data.splits)} videos{of}; the source holds {counts}"
        )
    return {split: clips[: data.limit] for split, clips in chosen.items()}


def _wanted(item: Clip | Row, pattern: re.Pattern[str] | None) -> bool:
    if pattern is None:
        return True
    return item.label is not None and pattern.match(item.label) is not None


def _findings(
    data: KineticsData, survey: Survey, pattern: re.Pattern[str] | None
) -> dict[str, object]:
    """Compare source and lists, over the wanted splits and classes."""
    splits = {*data.splits, None}
    listed = [
        row
        for row in survey.lists.rows.values()
        if row.split in splits and _wanted(row, pattern)
    ]
    there = {(clip.row.id, clip.row.start) for clip in survey.clips if clip.row}
    missing = [row for row in listed if (row.id, row.start) not in there]
    clips = [clip for clip in survey.clips if clip.split in splits]
    by_class = Counter(row.label or "(no label)" for row in missing)
    return {
        "lists": list(survey.lists.files),
        "no_lists": list(survey.lists.others),
        "listed": len(listed),
        "found": len(listed) - len(missing),
        "missing": len(missing),
        "missing_by_class": dict(sorted(by_class.items())),
        "unlisted": sum(clip.row is None for clip in clips),
        "without_split": sum(clip.split is None for clip in clips),
        "label_conflicts": sum(clip.conflict for clip in clips),
        "duplicates": survey.duplicates,
        "unlabelled": sum(clip.label is None for clip in clips),
        "list_contradictions": survey.lists.contradictions,
        **survey.listing.findings,
    }


def _notes(
    data: KineticsData,
    survey: Survey,
    chosen: dict[str, list[Clip]],
    findings: dict[str, object],
    pattern: re.Pattern[str] | None,
) -> tuple[str, ...]:
    """Notes for the user, with the counts in one line."""
    counts = ", ".join(
        f"{count} {name.replace('_', ' ')}"
        for name, count in findings.items()
        if isinstance(count, int) and (count or name in ("listed", "found", "missing"))
    )
    notes = [f"kinetics: {counts}", *survey.lists.notes, *survey.listing.notes]
    if empty := [split for split, clips in chosen.items() if not clips]:
        notes.append(f"no videos for {' and '.join(empty)}")
    if pattern:
        of = [clip for clip in survey.clips if clip.split in data.splits]
        fitting = sum(_wanted(clip, pattern) for clip in of)
        notes.append(filtered(fitting, len(of), "video", data.subset or data.match))
    if pattern and findings["unlabelled"]:
        notes.append(f"left out: {findings['unlabelled']} without label")
    return tuple(notes)
