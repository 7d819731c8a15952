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
from svtcli.prepare.download import Offer, Publisher
from svtcli.prepare.plan import Plan, Promise
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
)
from svtcli.prepare.sources.source_folder import (
    files_below,
    require_unique,
    source_folder,
)
from svtcli.prepare.sources.tfrecord import (
    BadExample,
    BadRecord,
    Example,
    parse_example,
)
from svtcli.recipe.data import RobotPushData
from svtcli.video.image import FILTER, Unreadable, dimensions, read_resized

ADDRESS = "https://storage.googleapis.com/brain-robotics-data/push"
FILES = {"push_train": 264, "push_testseen": 5, "push_testnovel": 5}
SPLITS = {
    "push_train": ("train", "val"),
    "push_testseen": ("test-seen",),
    "push_testnovel": ("test-novel",),
}
PUBLISHER = Publisher(
    tuple(
        Offer(f"{ADDRESS}/{place}", place, SPLITS[name])
        for name, count in FILES.items()
        for place in (
            f"{name}/{name}.tfrecord-{i:05d}-of-{count:05d}" for i in range(count)
        )
    )
)
"""File names: tensor2tensor `data_generators/google_robot_pushing.py`."""
VAL_FILES = 5
"""Train files, of 264, that are `val`; of fewer, as large a share, and at least one."""
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


@dataclass(frozen=True)
class RobotPushTask(RecordTask):
    """Decodes the first videos of one TFRecord file."""

    data: RobotPushData

    def promise(self) -> Promise:
        """Estimate each video's frames from the first one that is long enough."""
        try:
            for record in self.file.read():
                if frames := self._frames(record):
                    return Promise(self.units, self.units * frames)
        except OSError:
            pass
        return Promise(0, 0)

    def _frames(self, record: bytes | BadRecord) -> int:
        """Count the frames of a record's clip; 0 where it has none."""
        if isinstance(record, BadRecord):
            return 0
        try:
            return kept_frames(count_frames(parse_example(record)), self.data)
        except (BadExample, Unusable):
            return 0

    def video(self, number: int, example: Example) -> RecordVideo:
        frames = range(kept_frames(count_frames(example), self.data))
        actions = [f"move/{i}/commanded_pose/vec_pitch_yaw" for i in frames]
        states = [f"move/{i}/endeffector/vec_pitch_yaw" for i in frames]
        beside = {
            "actions": float_rows(example, actions, ACTIONS, "action-missing"),
            "states": float_rows(example, states, STATES, "state-missing"),
        }
        width, height, pictures = 0, 0, list[np.ndarray]()
        for i in frames:
            raw = first_bytes(example, image_key(i))
            assert raw is not None
            try:
                width, height = dimensions(raw) if not i else (width, height)
                pictures.append(read_resized(raw, self.data.size, self.data.fit))
            except Unreadable as damage:
                raise Unusable("decode", f"frame {i}: {damage.detail}") from None
        facts = ClipFacts(
            id=f"{self.source}/{number}",
            source=f"{self.source}#{number}",
            width=width,
            height=height,
            codec="jpeg",
        )
        return RecordVideo(facts, np.stack(pictures), beside)


def image_key(frame: int) -> str:
    """Key of a frame's picture."""
    return f"move/{frame}/image/encoded"


def count_frames(example: Example) -> int:
    """Count the frames before the first one without a picture."""
    count = 0
    while first_bytes(example, image_key(count)) is not None:
        count += 1
    return count


def kept_frames(there: int, data: RobotPushData) -> int:
    """Return the number of frames kept of a video. Errors: `Unusable` if too short."""
    least = data.min_frames if data.frames == "all" else data.frames
    if there < least:
        raise Unusable("too-short", f"{there} frames, a clip has at least {least}")
    return there if data.frames == "all" else data.frames


def make_plan(data: RobotPushData) -> Plan:
    """Plan the files in the publisher's order.

    Errors: `Refused` where there is nothing, or a split is missing.
    """
    folder = source_folder(data.source, "robot-push", WHAT_TO_GET)
    found, notes = find_files(folder)
    if not found:
        hint = how_to_get("robot-push", WHAT_TO_GET)
        raise Refused(f"{folder}: no robot-push videos there", hint)
    require_splits(data.splits, found, folder)
    if "val" in data.splits:
        names = sorted({found["val"][0].name, found["val"][-1].name})
        notes.append(f"val is {' … '.join(names)}, cut from train")
    return plan_files(
        data,
        [(split, file) for split in data.splits for file in found[split]],
        lambda file, split, units: RobotPushTask(file, split, units, data),
        Layout((data.size, data.size, 3), {"actions": ACTIONS, "states": STATES}),
        f"{data.fit} to a square, {FILTER}",
        notes,
    )


def find_files(folder: Path) -> tuple[dict[str, list[RecordFile]], list[str]]:
    """Find the files of each split, by number; return notes about missing ones too.

    Errors: `Refused` where a file is there twice.
    """
    paths = files_below(folder, NAMED)
    require_unique((path.name, path) for path in paths)
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
    kept = len(train) - val_files(len(train))
    by_split = {
        "train": train[:kept],
        "val": train[kept:],
        "test-seen": official["push_testseen"],
        "test-novel": official["push_testnovel"],
    }
    return {split: found for split, found in by_split.items() if found}, notes


def val_files(train: int) -> int:
    """Return the number of train files, the last ones, that are `val`."""
    share = round(train * VAL_FILES / FILES["push_train"])
    return min(VAL_FILES, max(1, share)) if train > 1 else 0
