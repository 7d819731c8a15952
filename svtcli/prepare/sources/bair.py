"""BAIR robot pushing: frames, actions and arm positions, copied as they are (§4.2).

Read from the published tar, in place, from its unpacked TFRecord files, or from the PNG
files that SVG's converter makes of them: `<split>/traj_a_to_b/<k>/<t>.png`, which show
the camera aux1 and have no actions. A video has the same id in each.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from svtcli.clips.format import ClipFacts, Layout
from svtcli.failure import Refused, in_words
from svtcli.prepare.download import Offer, Publisher
from svtcli.prepare.plan import Failed, Outcome, Plan, Promise, Task
from svtcli.prepare.sources import how_to_get
from svtcli.prepare.sources.records import (
    RecordFile,
    RecordTask,
    RecordVideo,
    Unusable,
    first_bytes,
    float_rows,
    plan_files,
    require_splits,
    tar_members,
    write_videos,
)
from svtcli.prepare.sources.source_folder import (
    files_below,
    require_unique,
    source_folder,
)
from svtcli.prepare.sources.tfrecord import Example
from svtcli.recipe.data import BairData
from svtcli.video.image import Unreadable, read_pixels

TAR = "bair_robot_pushing_dataset_v0.tar"
ADDRESS = f"http://rail.eecs.berkeley.edu/datasets/{TAR}"
PUBLISHER = Publisher(
    (
        Offer(
            ADDRESS,
            TAR,
            ("train", "val", "test"),
            32_274_964_480,
            "c6f8d164ab2be07174ef597e3e070d7466f3142caddc467b6af119b9458cd9cd",
            instead=("softmotion30_44k", "processed_data"),
        ),
    )
)
"""One tar, read in place. Hash: tensorflow/datasets
`tensorflow_datasets/url_checksums/bair_robot_pushing_small.txt`."""
FRAMES, SIDE = 30, 64
FPS = 10.0
"""Not in the files; stated by the papers on this dataset."""
ACTIONS, STATES = 4, 3
VAL = (256, 511)
"""Videos of the official train split that are `val`, as in SAVP."""
PUBLISHED = {"train": 43_008, "val": 256, "test": 256}
"""Videos in the published tar, counted from the names of its files."""
LARGEST_PNG = 1 << 20
"""Bytes of a PNG that are read; 64 by 64 pixels need 13 thousand at most."""

RANGE = re.compile(r"traj_(\d{1,9})_to_(\d{1,9})")
TRAJECTORIES = re.compile(rf"(?:^|/)(train|test)/{RANGE.pattern}\.tfrecords$")
ARCHIVE = re.compile(rf"/{re.escape(TAR)}$")

WHAT_TO_GET = (
    f"get {TAR} (30 GiB) from {ADDRESS} and put it there, or name its folder: "
    "--source DIR, or data.source=DIR in a recipe. It need not be unpacked; its "
    "softmotion30_44k/{train,test}/traj_*.tfrecords also work, and so do "
    "SVG's processed_data/{train,test}/traj_*/*/*.png, which have no actions. "
    "Links that lead out of the folder are not followed"
)


@dataclass(frozen=True)
class PngFolder:
    """A folder `traj_a_to_b`: one folder for each of its videos, numbered from 1."""

    path: Path
    name: str

    @cached_property
    def videos(self) -> tuple[int, ...]:
        """Numbers of its videos; links are not followed."""
        with os.scandir(self.path) as entries:
            return tuple(
                sorted(
                    int(entry.name)
                    for entry in entries
                    if re.fullmatch(r"[1-9]\d{0,8}", entry.name)
                    and entry.is_dir(follow_symlinks=False)
                )
            )

    @property
    def size(self) -> str:
        """Video numbers, in place of a size: a million files are not looked at."""
        return ",".join(map(str, self.videos))

    def count(self) -> int:
        """Return the number of videos."""
        return len(self.videos)


@dataclass(frozen=True)
class Trajectories:
    """Videos first … last of an official split, in one file or folder."""

    official: str
    first: int
    last: int
    file: RecordFile | PngFolder

    @property
    def split(self) -> str:
        """Split of the prepared clips."""
        is_val = self.official == "train" and (self.first, self.last) == VAL
        return "val" if is_val else self.official


@dataclass(frozen=True)
class BairTask(RecordTask):
    """Copies the first videos of one TFRecord file."""

    view: Literal["aux1", "main"]

    def promise(self) -> Promise:
        return Promise(self.units, self.units * FRAMES)

    def video(self, number: int, example: Example) -> RecordVideo:
        keys = [f"{i}/image_{self.view}/encoded" for i in range(FRAMES)]
        raw = b"".join(_raw_frame(example, key) for key in keys)
        name = self.source.removesuffix(".tfrecords")
        actions = [f"{i}/action" for i in range(FRAMES)]
        states = [f"{i}/endeffector_pos" for i in range(FRAMES)]
        return RecordVideo(
            _facts(f"{name}/{number}", f"{self.source}#{number}", "raw"),
            np.frombuffer(raw, np.uint8).reshape(FRAMES, SIDE, SIDE, 3),
            {
                "actions": float_rows(example, actions, ACTIONS, "action-missing"),
                "states": float_rows(example, states, STATES, "state-missing"),
            },
        )


@dataclass(frozen=True)
class PngTask:
    """Decodes the first `units` videos of a folder."""

    folder: PngFolder
    split: str
    units: int

    @property
    def source(self) -> str:
        return self.folder.name

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.folder.path,)

    def promise(self) -> Promise:
        return Promise(self.units, self.units * FRAMES)

    def run(self, frames: Path) -> Outcome:
        return write_videos(frames, self.split, (), self._videos())

    def _videos(self) -> Iterator[RecordVideo | Failed]:
        for number in self.folder.videos[: self.units]:
            # The converter counts its records from 1.
            record = number - 1
            place = ""
            try:
                pictures = []
                for frame in range(FRAMES):
                    place = f"{number}/{frame}.png"
                    pictures.append(_picture(self.folder.path / place))
                name = f"{self.source}/{record}"
                facts = _facts(name, f"{self.source}/{number}", "png")
                yield RecordVideo(facts, np.stack(pictures))
            except Unreadable as damage:
                detail = f"{place}: {damage.detail}"
                yield Failed(self.source, damage.reason, detail, record=record)
            except OSError as error:
                detail = f"{place}: cannot be read ({in_words(error)})"
                yield Failed(self.source, "open", detail, record=record)


def _facts(name: str, source: str, codec: str) -> ClipFacts:
    return ClipFacts(name, source, width=SIDE, height=SIDE, fps=FPS, codec=codec)


def _raw_frame(example: Example, key: str) -> bytes:
    raw = first_bytes(example, key)
    if raw is None:
        raise Unusable("decode", f"has no {key}")
    if len(raw) != SIDE * SIDE * 3:
        raise Unusable("decode", f"{key} is {len(raw)} bytes, not {SIDE * SIDE * 3}")
    return raw


def _picture(path: Path) -> np.ndarray:
    """Read uint8 [64, 64, 3]. Errors: `Unreadable`, `OSError`, also for a link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        picture = read_pixels(file.read(LARGEST_PNG))
    if picture.shape != (SIDE, SIDE, 3):
        height, width, _ = picture.shape
        raise Unreadable("decode", f"{width} x {height} pixels, not {SIDE} x {SIDE}")
    return picture


def make_plan(data: BairData) -> Plan:
    """Plan the official order, with `val` cut from train.

    Errors: `Refused` where there is nothing, a split is missing, or a tar is damaged.
    """
    folder = source_folder(data.source, "bair", WHAT_TO_GET)
    found = find_trajectories(folder)
    if not found:
        hint = how_to_get("bair", WHAT_TO_GET)
        raise Refused(f"{folder}: no BAIR videos there", hint)
    require_unique((each.file.name, each.file.path) for each in found)
    require_splits(data.splits, {each.split for each in found}, folder)
    beside, notes = {"actions": ACTIONS, "states": STATES}, list[str]()
    if isinstance(found[0].file, PngFolder):
        if data.view != "aux1":
            raise Refused(
                f"{folder}: PNG files show the camera aux1, not {data.view}",
                f"get {TAR} from {ADDRESS}",
            )
        beside = {}
        notes.append("PNG files hold no actions and states: the clips have none")
    if "val" in data.splits:
        notes.append("val is traj_256_to_511, cut from train")

    def task(file: RecordFile | PngFolder, split: str, units: int) -> Task:
        if isinstance(file, PngFolder):
            return PngTask(file, split, units)
        return BairTask(file, split, units, data.view)

    files = [(each.split, each.file) for each in found]
    layout = Layout((SIDE, SIDE, 3), beside)
    plan = plan_files(data, files, task, layout, "as published", notes)
    if data.limit is None:
        notes += [
            f"{split} has {videos:,} videos, the published {split} has "
            f"{PUBLISHED[split]:,}"
            for split, videos in plan.findings["videos"].items()
            if videos != PUBLISHED[split]
        ]
    return replace(plan, notes=tuple(notes))


def find_trajectories(folder: Path) -> list[Trajectories]:
    """Find videos in the tar, else in TFRecord files, else in PNG files; in order.

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
    found = found or list(_png_folders(folder))
    return sorted(found, key=lambda each: (each.official, each.first, each.last))


def _trajectories(name: str, path: Path, offset: int, size: int) -> Trajectories:
    named = TRAJECTORIES.search(name)
    assert named is not None
    split, first, last = named[1], int(named[2]), int(named[3])
    short = f"{split}/traj_{first}_to_{last}.tfrecords"
    file = RecordFile(path, offset, size, short, last - first + 1)
    return Trajectories(split, first, last, file)


def _png_folders(folder: Path) -> Iterator[Trajectories]:
    """Yield each folder that holds videos."""
    for place, folders, _ in os.walk(folder):
        split = Path(place).name
        if split not in ("train", "test"):
            folders[:] = [name for name in folders if not name.startswith(".")]
            continue
        for name in folders:
            named = RANGE.fullmatch(name)
            png = PngFolder(Path(place, name), f"{split}/{name}")
            if named and not png.path.is_symlink() and png.videos:
                yield Trajectories(split, int(named[1]), int(named[2]), png)
        # A million pictures lie below.
        folders[:] = [name for name in folders if not RANGE.fullmatch(name)]
