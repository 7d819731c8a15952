"""Robotic pushing (Finn et al. 2016): JPEG frames, actions and arm poses (A.2).

`train`, `test-seen` and `test-novel` are the publisher's; `val` is the last files of
its train split. The length of a video varies.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svtcli.clips.format import ClipFacts, Layout
from svtcli.failure import Refused
from svtcli.prepare.plan import Group, Outcome, Plan, Promise, labelled, spec_of
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
from svtcli.prepare.sources.tf_example import BadExample, Example, parse_example
from svtcli.prepare.sources.tfrecord import BadRecord
from svtcli.prepare.sources.where import source_folder
from svtcli.recipe.data import RobotPushData
from svtcli.run.fingerprint import fingerprint
from svtcli.video.image import FILTER, Unreadable, dimensions, still

ADDRESS = "https://storage.googleapis.com/brain-robotics-data/push"
FILES = {"push_train": 264, "push_testseen": 5, "push_testnovel": 5}
SPLITS = {"push_testseen": "test-seen", "push_testnovel": "test-novel"}
VAL_FILES = 5
"""Of the 264 train files; of fewer files, as large a share, but at least one of two."""
ACTIONS, STATES = 5, 5
NAMED = re.compile(
    r"/(push_train|push_testseen|push_testnovel)\.tfrecord-(\d{5})-of-\d{5}$"
)

WHAT_TO_GET = (
    f"get the files of {ADDRESS} (push_train/push_train.tfrecord-00000-of-00264 and so "
    "on, push_testseen and push_testnovel 00000-of-00005 and so on) and put them "
    "there, or name their folder: --source DIR, or data.source=DIR in a recipe. Links "
    "that lead out of the folder are not followed"
)
DOWNLOAD = "; `svt prepare robot-push --download` fetches them"


@dataclass(frozen=True)
class RobotPushTask:
    """Decodes the first `units` videos of one TFRecord file."""

    file: RecordFile
    split: str
    units: int
    data: RobotPushData

    @property
    def source(self) -> str:
        return self.file.name

    def promise(self) -> Promise:
        """As many frames in each video as in the first one that is long enough."""
        try:
            for record in self.file.read():
                if frames := self._frames(record):
                    return Promise(self.units, self.units * frames)
        except OSError:
            pass
        return Promise(0, 0)

    def _frames(self, record: bytes | BadRecord) -> int:
        """How many a record will give; 0 where it gives no clip."""
        if isinstance(record, BadRecord):
            return 0
        try:
            return kept(count_frames(parse_example(record)), self.data)
        except (BadExample, Unusable):
            return 0

    def run(self, frames: Path) -> Outcome:
        videos = videos_of(self.file, self.units, self._video)
        return write_videos(frames, self.split, ("actions", "states"), videos)

    def _video(self, number: int, example: Example) -> Video:
        frames = range(kept(count_frames(example), self.data))
        actions = [f"move/{i}/commanded_pose/vec_pitch_yaw" for i in frames]
        states = [f"move/{i}/endeffector/vec_pitch_yaw" for i in frames]
        beside = {
            "actions": numbers(example, actions, ACTIONS, "action-missing"),
            "states": numbers(example, states, STATES, "state-missing"),
        }
        width, height, pictures = 0, 0, list[np.ndarray]()
        for i in frames:
            raw = one_bytes(example, image_key(i))
            assert raw is not None
            try:
                width, height = dimensions(raw) if not i else (width, height)
                pictures.append(still(raw, self.data.size, self.data.fit))
            except Unreadable as damage:
                raise Unusable("decode", f"frame {i}: {damage.detail}") from None
        facts = ClipFacts(
            id=f"{self.source}/{number}",
            source=f"{self.source}#{number}",
            width=width,
            height=height,
            codec="jpeg",
        )
        return Video(facts, np.stack(pictures), beside)


def image_key(frame: int) -> str:
    """Where the picture of a frame stands."""
    return f"move/{frame}/image/encoded"


def count_frames(example: Example) -> int:
    """Frames up to the first one without a picture."""
    count = 0
    while one_bytes(example, image_key(count)) is not None:
        count += 1
    return count


def kept(there: int, data: RobotPushData) -> int:
    """How many of a video's frames are kept. Errors: `Unusable` where it is short."""
    least = data.min_frames if data.frames == "all" else data.frames
    if there < least:
        raise Unusable("too-short", f"{there} frames, a clip has at least {least}")
    return there if data.frames == "all" else data.frames


def plan_robot_push(data: RobotPushData) -> Plan:
    """Which videos go where, in the publisher's order.

    Errors: `Refused` where there is nothing, or a split is missing.
    """
    folder = source_folder(data.source, "robot-push", WHAT_TO_GET)
    parts, notes = find_files(folder)
    if not parts:
        hint = WHAT_TO_GET + DOWNLOAD
        raise Refused(f"{folder}: no robot-push videos there", hint)
    want_splits(data.splits, parts, folder)
    groups, files, videos = list[Group](), dict[str, int](), dict[str, int]()
    for split in data.splits:
        units = first_units((file.count() for file in parts[split]), data.limit)
        tasks = [
            RobotPushTask(file, split, n, data)
            for file, n in zip(parts[split], units, strict=False)
        ]
        groups += labelled(in_shards([*tasks]), split)
        files[split], videos[split] = len(parts[split]), sum(units)
    if "val" in data.splits:
        names = sorted({parts["val"][0].name, parts["val"][-1].name})
        notes.append(f"val is {' … '.join(names)}, cut from train")
    chosen = [file for split in data.splits for file in parts[split]]
    return Plan(
        spec=spec_of(data),
        inventory=fingerprint([(file.name, file.size) for file in chosen]),
        layout=Layout(
            (data.size, data.size, 3), {"actions": ACTIONS, "states": STATES}
        ),
        groups=tuple(groups),
        unit="videos",
        pixels=f"{data.fit} to a square, {FILTER}",
        notes=tuple(notes),
        findings={"files": files, "videos": videos},
    )


def find_files(folder: Path) -> tuple[dict[str, list[RecordFile]], list[str]]:
    """The files of each split that is there, by number; and what is worth a note.

    Errors: `Refused` where a file is there twice.
    """
    paths = files_below(folder, NAMED)
    only_once((path.name, path) for path in paths)
    official: dict[str, list[RecordFile]] = {name: [] for name in FILES}
    for path in sorted(paths, key=lambda path: path.name):
        name = path.name.partition(".")[0]
        size = path.stat().st_size
        official[name].append(RecordFile(path, 0, size, path.name))
    notes = [
        f"files of {name}: {len(found)}; of the published one: {FILES[name]}"
        for name, found in official.items()
        if found and len(found) != FILES[name]
    ]
    train = official["push_train"]
    val = val_files(len(train))
    parts = {"train": train[: len(train) - val], "val": train[len(train) - val :]}
    parts |= {split: official[name] for name, split in SPLITS.items()}
    return {split: found for split, found in parts.items() if found}, notes


def val_files(train: int) -> int:
    """How many of so many train files are `val`: the last ones."""
    share = round(train * VAL_FILES / FILES["push_train"])
    return min(VAL_FILES, max(1, share)) if train > 1 else 0
