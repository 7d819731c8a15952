"""BAIR robot pushing: frames, actions and arm positions, copied as they are (§4.2).

Read from the published tar, in place, from its unpacked TFRecord files, or from the PNG
files that SVG's converter makes of them. A video has the same id in each.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from svtcli.clips.format import ClipFacts, Layout
from svtcli.failure import Refused
from svtcli.prepare.plan import Group, Outcome, Plan, Promise, Task, labelled, spec_of
from svtcli.prepare.sources.bair_png import PngFolder, PngTask, png_folders
from svtcli.prepare.sources.record_tar import tar_members
from svtcli.prepare.sources.records import (
    RecordFile,
    Unusable,
    Video,
    files_below,
    first_units,
    in_shards,
    numbers,
    one_bytes,
    only_once,
    videos_of,
    want_splits,
    write_videos,
)
from svtcli.prepare.sources.tf_example import Example
from svtcli.prepare.sources.where import source_folder
from svtcli.recipe.data import BairData
from svtcli.run.fingerprint import fingerprint

TAR = "bair_robot_pushing_dataset_v0.tar"
ADDRESS = f"http://rail.eecs.berkeley.edu/datasets/{TAR}"
FRAMES, SIDE = 30, 64
FPS = 10.0
"""Not in the files; what the papers on this dataset state."""
ACTIONS, STATES = 4, 3
VAL = (256, 511)
"""Videos of the official train split that are `val`, as in SAVP."""
PUBLISHED = {"train": 43_008, "val": 256, "test": 256}
"""Videos in the published tar, counted from the names of its files."""

TRAJECTORIES = re.compile(
    r"(?:^|/)(train|test)/traj_(\d{1,9})_to_(\d{1,9})\.tfrecords$"
)
ARCHIVE = re.compile(rf"/{re.escape(TAR)}$")

WHAT_TO_GET = (
    f"get {TAR} (30 GiB) from {ADDRESS} and put it there, or name its folder: "
    "--source DIR, or data.source=DIR in a recipe. It need not be unpacked; "
    "softmotion30_44k/{train,test}/traj_*.tfrecords, which is in it, will do, and so "
    "will SVG's processed_data/{train,test}/traj_*/*/*.png, which has no actions. "
    "Links that lead out of the folder are not followed"
)
DOWNLOAD = "; `svt prepare bair --download` fetches it"


@dataclass(frozen=True)
class Trajectories:
    """Videos first … last of an official split, in one file or folder."""

    official: str
    first: int
    last: int
    file: RecordFile | PngFolder

    @property
    def split(self) -> str:
        """The split that they belong to here."""
        is_val = self.official == "train" and (self.first, self.last) == VAL
        return "val" if is_val else self.official

    def task(self, units: int, view: Literal["aux1", "main"]) -> Task:
        """The work on its first `units` videos."""
        if isinstance(self.file, PngFolder):
            return PngTask(self.file, self.split, units)
        return BairTask(self.file, self.split, units, view)


@dataclass(frozen=True)
class BairTask:
    """Copies the first `units` videos of one TFRecord file."""

    file: RecordFile
    split: str
    units: int
    view: Literal["aux1", "main"]

    @property
    def source(self) -> str:
        return self.file.name

    def promise(self) -> Promise:
        return Promise(self.units, self.units * FRAMES)

    def run(self, frames: Path) -> Outcome:
        videos = videos_of(self.file, self.units, self._video)
        return write_videos(frames, self.split, ("actions", "states"), videos)

    def _video(self, number: int, example: Example) -> Video:
        keys = [f"{i}/image_{self.view}/encoded" for i in range(FRAMES)]
        raw = b"".join(_frame(example, key) for key in keys)
        facts = ClipFacts(
            id=f"{self.source.removesuffix('.tfrecords')}/{number}",
            source=f"{self.source}#{number}",
            width=SIDE,
            height=SIDE,
            fps=FPS,
            codec="raw",
        )
        actions = [f"{i}/action" for i in range(FRAMES)]
        states = [f"{i}/endeffector_pos" for i in range(FRAMES)]
        return Video(
            facts,
            np.frombuffer(raw, np.uint8).reshape(FRAMES, SIDE, SIDE, 3),
            {
                "actions": numbers(example, actions, ACTIONS, "action-missing"),
                "states": numbers(example, states, STATES, "state-missing"),
            },
        )


def _frame(example: Example, key: str) -> bytes:
    raw = one_bytes(example, key)
    if raw is None:
        raise Unusable("decode", f"has no {key}")
    if len(raw) != SIDE * SIDE * 3:
        raise Unusable("decode", f"{key} is {len(raw)} bytes, not {SIDE * SIDE * 3}")
    return raw


def plan_bair(data: BairData) -> Plan:
    """Which videos go where: the official order, `val` cut from train.

    Errors: `Refused` where there is nothing, a split is missing, or a tar is damaged.
    """
    folder = source_folder(data.source, "bair", WHAT_TO_GET)
    found = find_trajectories(folder)
    if not found:
        raise Refused(f"{folder}: no BAIR videos there", WHAT_TO_GET + DOWNLOAD)
    only_once((each.file.name, each.file.path) for each in found)
    want_splits(data.splits, {each.split for each in found}, folder)
    notes, as_png = list[str](), isinstance(found[0].file, PngFolder)
    if as_png:
        if data.view != "aux1":
            raise Refused(
                f"{folder}: PNG files show the camera aux1, not {data.view}",
                f"get {TAR} from {ADDRESS}",
            )
        notes.append("PNG files hold no actions and states: the clips have none")
    if "val" in data.splits:
        notes.append("val is traj_256_to_511, cut from train")

    groups, files, videos = list[Group](), dict[str, int](), dict[str, int]()
    for split in data.splits:
        parts = [each for each in found if each.split == split]
        counts = (each.file.count(each.last - each.first + 1) for each in parts)
        units = first_units(counts, data.limit)
        tasks = [part.task(n, data.view) for part, n in zip(parts, units, strict=False)]
        groups += labelled(in_shards(tasks), split)
        files[split], videos[split] = len(parts), sum(units)
        if data.limit is None and videos[split] != PUBLISHED[split]:
            notes.append(
                f"{split} has {videos[split]:,} videos, the published {split} has "
                f"{PUBLISHED[split]:,}"
            )
    chosen = [each.file for each in found if each.split in data.splits]
    return Plan(
        spec=spec_of(data),
        inventory=fingerprint([(file.name, file.size) for file in chosen]),
        layout=Layout(
            (SIDE, SIDE, 3), {} if as_png else {"actions": ACTIONS, "states": STATES}
        ),
        groups=tuple(groups),
        unit="videos",
        pixels="as published",
        notes=tuple(notes),
        findings={"files": files, "videos": videos},
    )


def find_trajectories(folder: Path) -> Sequence[Trajectories]:
    """What is there, by number: in the tar, else in TFRecord files, else in PNG files.

    Errors: `Refused` for a damaged tar.
    """
    found = [
        _trajectories(name, path, offset, size)
        for path in files_below(folder, ARCHIVE)[:1]
        for name, offset, size in tar_members(path, ADDRESS)
        if TRAJECTORIES.search(name)
    ] or [
        _trajectories(path.as_posix(), path, 0, path.stat().st_size)
        for path in files_below(folder, TRAJECTORIES)
    ]
    if not found:
        found = [
            Trajectories(split, first, last, png)
            for split, first, last, png in png_folders(folder)
        ]
    return sorted(found, key=lambda each: (each.official, each.first, each.last))


def _trajectories(name: str, path: Path, offset: int, size: int) -> Trajectories:
    named = TRAJECTORIES.search(name)
    assert named is not None
    split, first, last = named[1], int(named[2]), int(named[3])
    short = f"{split}/traj_{first}_to_{last}.tfrecords"
    return Trajectories(split, first, last, RecordFile(path, offset, size, short))
