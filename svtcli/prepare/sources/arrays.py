"""Arrays of videos in files, with actions, states and labels beside them.

A file holds one array of frames, and may hold others of the same clips; beside a `.npy`
they are files of their own. Headers decide the plan; numbers are read a few frames at a
time.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from shlex import quote

from svtcli.clips.format import Layout
from svtcli.failure import BadData, Failure, Refused
from svtcli.prepare.plan import (
    Failed,
    Outcome,
    Plan,
    Promise,
    Task,
    group_tasks,
    spec_of,
)
from svtcli.prepare.sources.array_clips import ArraysTask, ClipArrays, Splits
from svtcli.prepare.sources.folder import assign_splits
from svtcli.prepare.sources.source_folder import (
    Listing,
    Video,
    download_folder,
    list_videos,
    none_there,
    source_folder,
    way_to_take,
)
from svtcli.prepare.sources.video_file import Cutting, TimeSplit, chance
from svtcli.recipe.data import ArraysData
from svtcli.run.durable import fingerprint
from svtcli.run.progress import listed
from svtcli.video.array_files import ENDINGS, StoredArray, list_arrays
from svtcli.video.array_layout import Axes
from svtcli.video.resize import FILTER

TASK_CLIPS, TASK_BYTES = 1000, 1 << 26
"""Most clips of a task, and about the most bytes that it writes."""
SHARD_BYTES, SHARD_TASKS = 1 << 28, 64
LISTED = 8
"""Most arrays that a message names."""
STATED = re.compile(
    r"(?:^|[/_. -])(?:(train)(?:ing)?|(val)(?:id|idation)?|(test))(?=[/_. -])", re.I
)
"""A split in the name of a file or folder."""

WHAT_TO_GET = (
    f"put arrays there ({' '.join(ENDINGS)}; folders inside are searched), or give "
    "their location with --source FILE or DIR, or data.source in a recipe"
)


@dataclass(frozen=True)
class BrokenFile:
    """A file without clips; it fails again, so that the reason is recorded."""

    source: str
    reason: str
    detail: str
    units: int = 1
    files: tuple[Path, ...] = ()

    @property
    def failure(self) -> Failed:
        """Reason, as it is recorded."""
        return Failed(self.source, self.reason, self.detail)

    def promise(self) -> Promise:
        return Promise(0, 0)

    def run(self, frames: Path) -> Outcome:
        return Outcome(failures=(self.failure,))


def make_plan(data: ArraysData) -> Plan:
    """Plan the split of each clip.

    Errors: `Refused` where there are no arrays, or no file has the stated axes and
    numbers; `BadData` where all files are damaged.
    """
    listing = find_files(data)
    found, refused = list[ClipArrays](), dict[str, Failure]()
    for file in listing.videos:
        try:
            for name, by_role in _chosen(file, data).items():
                try:
                    found.append(_checked(name, by_role, file, data))
                except Failure as problem:
                    refused[name] = problem
        except Failure as problem:
            refused[file.name] = problem
    if not found:
        raise next(iter(refused.values()))
    beside = _sizes_beside(found)
    broken = [
        BrokenFile(
            name,
            "open" if isinstance(problem, BadData) else "layout",
            re.sub(r"^.*?\.\w+: ", "", str(problem)),
        )
        for name, problem in refused.items()
    ]
    broken += [wrong for arrays in found if (wrong := _unlike(arrays, beside))]
    good = [a for a in found if a.name not in {each.source for each in broken}]
    layout = Layout((data.size, data.size, data.channels), beside)
    splits = _assigned(good, data)
    by_name: dict[str, Sequence[Task]] = {each.source: [each] for each in broken}
    for arrays in good:
        by_name[arrays.name] = _tasks(arrays, splits[arrays.name], layout, data)
    # Every file keeps its place when another one is repaired.
    tasks = [task for name in sorted(by_name) for task in by_name[name]]
    frames = sum(task.promise().frames for task in tasks)
    per_task = max(1, frames * prod(layout.shape) // len(tasks))
    notes = list(listing.notes)
    total = sum(arrays.clips for arrays in good)
    if data.limit is not None and data.limit < total:
        notes.append(f"{data.limit} of {total} clips chosen (limit)")
    numbers = f"numbers {data.range}" if data.range else "bytes"
    way = f"{numbers} of {data.layout}; of another size: centre crop, swscale {FILTER}"
    return Plan(
        spec=spec_of(data),
        inventory=fingerprint(
            [
                (array.path.name, array.path.stat().st_size)
                for arrays in found
                for array in arrays.all
            ],
            [(file.name, file.bytes) for file in listing.videos],
        ),
        layout=layout,
        groups=tuple(
            group_tasks(tasks, min(SHARD_TASKS, max(1, SHARD_BYTES // per_task)), "all")
        ),
        unit="clips",
        pixels=way,
        notes=tuple(notes),
        unusable=tuple(each.failure for each in broken),
        findings={"files": len(listing.videos), "clips": total} | listing.findings,
    )


def find_files(data: ArraysData) -> Listing:
    """Find the files with frames. Errors: `Refused` where there are none."""
    stated = download_folder(data.source, "arrays") if data.source else None
    if stated is not None and stated.is_file():
        if stated.suffix.lower() not in ENDINGS:
            way = way_to_take(stated, WHAT_TO_GET)
            raise Refused(f"{stated}: not a file of arrays", way)
        return Listing((Video(stated.parent, stated.name, stated.stat().st_size),))
    folder = source_folder(data.source, "arrays", WHAT_TO_GET)
    listing = list_videos(folder, ENDINGS)
    names = {file.name for file in listing.videos}
    beside = {
        _beside_npy(name, key)
        for name in names
        for key in (data.action_key, data.state_key, data.label_key)
    }
    files = tuple(file for file in listing.videos if file.name not in beside)
    if not files:
        way = WHAT_TO_GET
        if list_videos(folder, frames=True).videos:
            way = f"take its videos: svt prepare folder --source {quote(str(folder))}"
        raise none_there(folder, listing, "arrays", way)
    return replace(listing, videos=files)


def _beside_npy(name: str, key: str) -> str:
    """Name of the file that holds the array `key` of a `.npy`."""
    stem, _, ending = name.rpartition(".")
    return f"{stem}.{key}.{ending}"


def _chosen(file: Video, data: ArraysData) -> dict[str, Mapping[str, StoredArray]]:
    """Choose the arrays of a file by role, for each array of frames; keyed by a name.

    Errors: `Refused`, `BadData`.
    """
    arrays = dict(list_arrays(file.path))
    roles = _roles(data)
    if "" in arrays:
        for key in roles.values():
            path = Path(_beside_npy(str(file.path), key))
            if path.is_file():
                arrays[key] = list_arrays(path)[""]
        frames = {"": arrays[""]}
    else:
        others = {key: a for key, a in arrays.items() if key not in roles.values()}
        frames = _frames_among(others, file.path, data)
    return {
        f"{file.name}:{each.key}" if "*" in (data.frames_key or "") else file.name: {
            role: arrays[key.replace("*", part)]
            for role, key in roles.items()
            if key.replace("*", part) in arrays
        }
        | {"frames": each}
        for part, each in frames.items()
    }


def _roles(data: ArraysData) -> dict[str, str]:
    """Keys of the arrays beside the frames, by role."""
    return {
        "actions": data.action_key,
        "states": data.state_key,
        "label": data.label_key,
    }


def _checked(
    name: str, arrays: Mapping[str, StoredArray], file: Video, data: ArraysData
) -> ClipArrays:
    """Compare arrays with the settings and with each other. Errors: `Refused`"""
    _check_frames(arrays["frames"], file.path, data)
    beside = {role: arrays[role] for role in ("actions", "states") if role in arrays}
    described = ClipArrays(
        name=name,
        folder=_folder_label(file.name),
        frames=arrays["frames"],
        axes=Axes(data.layout),
        beside=beside,
        label=arrays.get("label"),
    )
    if wrong := described.problem:
        raise Refused(f"{file.path}: {wrong}")
    return described


def _frames_among(
    arrays: Mapping[str, StoredArray], path: Path, data: ArraysData
) -> dict[str, StoredArray]:
    """Choose the array of frames, or those that match a key with `*`.

    They are keyed by the part of their name that `*` stands for. Errors: `Refused`.
    """
    named = _listed(arrays.values())
    if data.frames_key is not None:
        before, star, after = map(re.escape, data.frames_key.partition("*"))
        pattern = re.compile(f"{before}{'(.*)' if star else '()'}{after}")
        matches = [(pattern.fullmatch(key), each) for key, each in arrays.items()]
        if not any(match for match, _ in matches):
            what = f"{path}: holds no array '{data.frames_key}' of frames"
            raise Refused(what, f"its arrays: {named}")
        return {match[1]: each for match, each in matches if match}
    fit = [
        each
        for each in arrays.values()
        if not each.problem and len(each.shape) == len(data.layout)
    ] or [each for each in arrays.values() if each.problem]
    if not fit:
        what = f"{path}: no array with the axes {data.layout}; its arrays: {named}"
        raise Refused(what, "state their order with --layout, or data.layout")
    if len(fit) > 1:
        raise Refused(
            f"{path}: several arrays that may be frames: {_listed(fit)}",
            "name one: --frames-key NAME, or data.frames_key; * stands for any text",
        )
    return {"": fit[0]}


def _listed(arrays: Iterable[StoredArray]) -> str:
    """Name the first arrays."""
    return listed([str(array) for array in arrays], LISTED) or "none"


def _check_frames(frames: StoredArray, path: Path, data: ArraysData) -> None:
    """Compare an array with the stated axes and range. Errors: `Refused`, `BadData`."""
    where = f"{path}: {frames.key}:" if frames.key else f"{path}:"
    if frames.problem:
        raise BadData(f"{where} {frames.problem}")
    if wrong := Axes(data.layout).problem(frames.shape):
        empty = 0 in frames.shape
        way = None if empty else "state the order of its axes: --layout, or data.layout"
        raise Refused(f"{where} {wrong}", way)
    if not frames.numeric:
        raise Refused(f"{where} its type is {frames.dtype}, which is no type of pixels")
    if data.range is None and frames.dtype != "uint8":
        raise Refused(
            f"{where} its numbers are {frames.dtype}, not uint8",
            "state what is black and white: --range 0..1, -1..1 or 0..255 "
            "(data.range in a recipe)",
        )
    if data.gray and Axes(data.layout).sizes(frames.shape)["C"] != 1:
        raise Refused(f"{where} has colours", "leave out --gray (data.gray)")


def _sizes_beside(found: Iterable[ClipArrays]) -> dict[str, int]:
    """Numbers of action and state per frame: those of most files that have any."""
    sizes = {"actions": Counter[int](), "states": Counter[int]()}
    for arrays in found:
        for name in arrays.beside:
            sizes[name][arrays.width_of(name)] += 1
    return {name: each.most_common(1)[0][0] for name, each in sizes.items() if each}


def _unlike(arrays: ClipArrays, beside: Mapping[str, int]) -> BrokenFile | None:
    """Difference of a file's actions and states from those of most files."""
    for name, size in beside.items():
        if name not in arrays.beside:
            detail = f"has no {name}, as other files have"
            return BrokenFile(arrays.name, f"{name.removesuffix('s')}-missing", detail)
        if (has := arrays.width_of(name)) != size:
            detail = f"has {has} numbers of {name}, and most files {size}"
            return BrokenFile(arrays.name, "layout", detail)
    return None


def _assigned(found: list[ClipArrays], data: ArraysData) -> dict[str, Splits]:
    """Assign a split to each clip of each file, None to those left out by `limit`.

    Errors: `Refused` for names that do not state a split, or that state several ones
    unasked.
    """
    stated = {arrays.name: _stated(arrays.name) for arrays in found}
    if data.split is None and len(set(filter(None, stated.values()))) > 1:
        named = ", ".join(
            next(name for name, own in stated.items() if own == split)
            for split in sorted(set(filter(None, stated.values())))
        )
        raise Refused(
            f"names of files state their split: {named}",
            "take it: --split name; or mix them: --split clip (data.split in a recipe)",
        )
    clips = [
        name for arrays in found for name in map(arrays.clip_name, range(arrays.clips))
    ]
    chosen = set(sorted(clips, key=lambda name: chance(name, data.seed))[: data.limit])
    by_clip = assign_splits(list(chosen), data) if data.split in (None, "clip") else {}
    in_time = TimeSplit(data.val, data.test)

    def split_of(file: str, clip: str) -> str | TimeSplit:
        if data.split == "time":
            return in_time
        if data.split != "name":
            return by_clip[clip]
        if (split := stated[file]) is None:
            what = f"{file}: its name states no split (train, val or test)"
            raise Refused(what, "rename it, or leave out --split name")
        return split

    return {
        arrays.name: tuple(
            split_of(arrays.name, clip) if clip in chosen else None
            for clip in map(arrays.clip_name, range(arrays.clips))
        )
        for arrays in found
    }


def _stated(name: str) -> str | None:
    """Split that the name of a file or of its folders states, the innermost one."""
    found = STATED.findall(name)
    return "".join(found[-1]).lower() if found else None


def _tasks(
    arrays: ClipArrays, splits: Splits, layout: Layout, data: ArraysData
) -> list[ArraysTask]:
    """Share the clips of a file among tasks; those of a packed one stay together."""
    cutting = Cutting.of(data)
    clip = arrays.length * prod(layout.shape)
    step = min(TASK_CLIPS, max(1, TASK_BYTES // clip))
    if any(array.packed for array in arrays.all):
        step = len(splits)
    tasks = [
        ArraysTask(
            arrays=arrays,
            cutting=cutting,
            layout=layout,
            range=data.range,
            splits=splits[at : at + step],
            first=at,
            whole=len(splits) <= step,
        )
        for at in range(0, len(splits), step)
    ]
    return [task for task in tasks if task.units]


def _folder_label(name: str) -> str | None:
    """Return the name of a file's folder, unless it states a split."""
    folder = "/".join(name.split("/")[-2:-1])
    return folder if folder and not STATED.search(f"{folder}/") else None
