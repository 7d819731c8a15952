"""Moving MNIST: generated from MNIST's digits; the official test set where it lies.

Train clips take the digits of MNIST's train file; val and test those of its t10k file
where there is one, else digits that are held out of the train file. With `on_the_fly`
the folder keeps the digits of train and not its clips (`svtcli.clips.on_the_fly`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from svtcli.clips.format import ClipFacts, Layout
from svtcli.clips.manifest import Split
from svtcli.clips.on_the_fly import (
    SPLITS,
    bouncing_clip,
    clip_rng,
    generated_facts,
    write_digits,
)
from svtcli.failure import BadData, Refused
from svtcli.prepare.plan import (
    Cut,
    Group,
    Outcome,
    Plan,
    Promise,
    Task,
    labelled,
    spec_of,
)
from svtcli.prepare.sources.idx import read_idx_images
from svtcli.prepare.sources.where import source_folder
from svtcli.recipe.data import MovingMnistData
from svtcli.run.durable import crc32c
from svtcli.run.fingerprint import fingerprint

SIDE = 28
"""Pixels of a digit; it is never resized."""
HELD_OUT = 6
"""Without a t10k file, the last sixth of the digits is for val and test."""
TASK_CLIPS, SHARD_TASKS = 250, 8
OFFICIAL = "mnist_test_seq.npy"

WHAT_TO_GET = (
    "get MNIST's idx files train-images-idx3-ubyte.gz (9.9 MB) and "
    "t10k-images-idx3-ubyte.gz (1.6 MB), for instance from "
    "https://ossci-datasets.s3.amazonaws.com/mnist/, gzipped or not, and put them "
    "there or name their place: --source DIR, or data.source=DIR in a recipe. If "
    f"{OFFICIAL} (819 MB, https://www.cs.toronto.edu/~nitish/unsupervised_video/) "
    "lies beside them, it is the test split"
)


@dataclass(frozen=True)
class Files:
    """What a source folder holds."""

    train: Path
    t10k: Path | None
    official: Path | None


@dataclass(frozen=True)
class Digits:
    """Images first … last − 1 of an idx file."""

    path: Path
    first: int
    last: int

    def read(self) -> UInt8[np.ndarray, "n 28 28"]:
        """The images. Errors: `BadData`, also where they are not 28 × 28."""
        return _images(self.path)[self.first : self.last]


@lru_cache(maxsize=2)
def _images(path: Path) -> np.ndarray:
    """Read once in each worker process."""
    images = read_idx_images(path)
    if images.shape[1:] != (SIDE, SIDE):
        raise BadData(
            f"{path}: digits of {images.shape[1]} x {images.shape[2]} pixels; "
            f"Moving MNIST has {SIDE} x {SIDE}"
        )
    if not len(images):
        raise BadData(f"{path}: holds no digits")
    return images


def find_files(source: str | None) -> Files:
    """The idx files, also in folders inside. Errors: `Refused` with what to get."""
    folder = source_folder(source, "moving-mnist", WHAT_TO_GET)
    root = folder.resolve()

    def first(*patterns: str) -> Path | None:
        found = sorted(path for each in patterns for path in folder.rglob(each))
        inside = (path for path in found if path.resolve().is_relative_to(root))
        return next((path for path in inside if path.is_file()), None)

    train = first("train-images*idx3-ubyte", "train-images*idx3-ubyte.gz")
    if train is None:
        raise Refused(f"{folder}: no train-images-idx3-ubyte[.gz] there", WHAT_TO_GET)
    t10k = first("t10k-images*idx3-ubyte", "t10k-images*idx3-ubyte.gz")
    return Files(train, t10k, first(OFFICIAL))


def predicted(data: MovingMnistData) -> int:
    """Frames that are predicted: the second half, 10 of 20."""
    return data.frames - data.frames // 2


@dataclass(frozen=True)
class GeneratedTask:
    """Makes clips first … last − 1 of a split."""

    data: MovingMnistData
    split: str
    digits: Digits
    first: int
    last: int

    @property
    def source(self) -> str:
        return f"{self.split} {self.first}..{self.last - 1}"

    @property
    def units(self) -> int:
        return self.last - self.first

    def promise(self) -> Promise:
        return Promise(self.units, self.units * self.data.frames)

    def run(self, frames: Path) -> Outcome:
        digits = self.digits.read()
        data, indices = self.data, range(self.first, self.last)
        clips = (
            bouncing_clip(
                digits,
                clip_rng(data.seed, self.split, index),
                data.digits,
                data.frames,
                data.size,
            )
            for index in indices
        )
        facts = [generated_facts(self.split, index) for index in indices]
        return write_clips(clips, facts, self.split, predicted(data), frames)


@dataclass(frozen=True)
class OfficialTask:
    """Copies clips first … last − 1 of the official test set; time stands first there.

    A recipe with fewer frames takes the first ones.
    """

    data: MovingMnistData
    path: Path
    first: int
    last: int

    @property
    def source(self) -> str:
        return f"{OFFICIAL} {self.first}..{self.last - 1}"

    @property
    def units(self) -> int:
        return self.last - self.first

    def promise(self) -> Promise:
        return Promise(self.units, self.units * self.data.frames)

    def run(self, frames: Path) -> Outcome:
        part = open_official(self.path)[: self.data.frames, self.first : self.last]
        facts = [
            ClipFacts(id=f"test/{index:06d}", source=f"{OFFICIAL}#{index}")
            for index in range(self.first, self.last)
        ]
        clips = iter(part.transpose(1, 0, 2, 3)[..., None])
        return write_clips(clips, facts, "test", predicted(self.data), frames)


@dataclass(frozen=True)
class DrawnTrain:
    """Keeps the digits of train in place of its clips."""

    data: MovingMnistData
    digits: Digits

    @property
    def clips(self) -> int:
        """All of train."""
        return self.data.train

    def keep(self, folder: Path) -> Split:
        """Write the digits; what the manifest says of the split."""
        data = self.data
        how = (data.digits, data.seed, data.frames)
        drawn = write_digits(folder, "train", self.digits.read(), *how)
        return Split(data.train, data.train * data.frames, (), drawn)


def write_clips(
    clips: Iterator[UInt8[np.ndarray, "F H W 1"]],
    facts: list[ClipFacts],
    split: str,
    counted: int,
    path: Path,
) -> Outcome:
    """Write clips back to back, counting the levels of their last `counted` frames."""
    levels, cuts, first = np.zeros(256, np.int64), list[Cut](), 0
    with path.open("xb") as file:
        for clip, about in zip(clips, facts, strict=True):
            file.write(clip.tobytes())
            levels += level_counts(clip[-counted:])
            cuts.append(Cut(split, first, len(clip), about))
            first += len(clip)
    return Outcome(first, tuple(cuts), levels={split: tuple(levels.tolist())})


def open_official(path: Path) -> UInt8[np.ndarray, "20 n 64 64"]:
    """The official test set, not read yet. Errors: `BadData`."""
    try:
        video = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: cannot be read ({error})") from error
    if video.dtype != np.uint8 or (*video.shape[:1], *video.shape[2:]) != (20, 64, 64):
        raise BadData(
            f"{path}: {video.dtype} {video.shape}, expected uint8 (20, 10000, 64, 64)"
        )
    return video


def plan_moving_mnist(data: MovingMnistData) -> Plan:
    """Which clips are made of which digits.

    Errors: `Refused` for sizes that cannot be, `BadData` for files that are not MNIST.
    """
    if data.size < SIDE:
        raise Refused(f"size {data.size}: a digit is {SIDE} pixels wide")
    if data.frames < 2:
        raise Refused("frames 1: Moving MNIST predicts the second half of a clip")
    files = find_files(data.source)
    notes: list[str] = []
    digits = _digits(files, notes)
    official = _official(files, data, notes)
    stored = [split for split in SPLITS if not (split == "train" and data.on_the_fly)]
    groups: list[Group] = []
    for split in stored:
        taken = official if split == "test" else None
        groups += labelled(_shards(data, split, digits[split], taken), split)
    if data.on_the_fly:
        notes.append(f"train is drawn when it is read: {data.train} clips, none stored")
    drawn = {"train": DrawnTrain(data, digits["train"])} if data.on_the_fly else {}
    return Plan(
        drawn=drawn,
        spec=spec_of(data),
        inventory=_inventory(files, official),
        layout=Layout((data.size, data.size, 1)),
        groups=tuple(groups),
        unit="clips",
        pixels="drawn, digits of 28 x 28 as they are",
        predicted_frames=predicted(data),
        notes=tuple(notes),
    )


def _shards(
    data: MovingMnistData, split: str, digits: Digits, official: Path | None
) -> list[tuple[Task, ...]]:
    """The tasks of a split, in groups of one shard each."""
    total = {"train": data.train, "val": data.val, "test": data.test}[split]
    tasks: list[Task] = []
    for first in range(0, total, TASK_CLIPS):
        last = min(first + TASK_CLIPS, total)
        if official is not None:
            tasks.append(OfficialTask(data, official, first, last))
        else:
            tasks.append(GeneratedTask(data, split, digits, first, last))
    return [
        tuple(tasks[i : i + SHARD_TASKS]) for i in range(0, len(tasks), SHARD_TASKS)
    ]


def _digits(files: Files, notes: list[str]) -> dict[str, Digits]:
    """Which digits each split takes."""
    total = len(_images(files.train))
    if files.t10k is not None:
        train = Digits(files.train, 0, total)
        held_out = Digits(files.t10k, 0, len(_images(files.t10k)))
    else:
        kept = total - max(1, total // HELD_OUT)
        if not kept:
            raise BadData(f"{files.train}: one digit cannot be split")
        train = Digits(files.train, 0, kept)
        held_out = Digits(files.train, kept, total)
        notes.append(
            f"no t10k file: val and test use the last {total - kept} of {total} digits "
            "of the train file, train the others"
        )
    return {"train": train, "val": held_out, "test": held_out}


def _official(files: Files, data: MovingMnistData, notes: list[str]) -> Path | None:
    """The official test file, where it can serve these settings."""
    if files.official is None:
        return None
    if (data.size, data.digits) != (64, 2) or data.frames > 20:
        notes.append(f"{OFFICIAL} is not used: it has 20 frames of 64 x 64, 2 digits")
        return None
    clips = open_official(files.official).shape[1]
    if data.test > clips:
        raise Refused(f"{files.official} holds {clips} clips, test wants {data.test}")
    notes.append(f"test is the official {OFFICIAL}")
    return files.official


def _inventory(files: Files, official: Path | None) -> str:
    """Contents of the small files, size of the large one."""
    digits = [crc32c(path) for path in (files.train, files.t10k) if path is not None]
    return fingerprint(digits, official.stat().st_size if official else None)


def level_counts(video: UInt8[np.ndarray, "..."]) -> Int[np.ndarray, "256"]:
    """Count the pixels of each level."""
    return np.bincount(video.reshape(-1), minlength=256)


def lower_bound(levels: tuple[int, ...], frames: int) -> float:
    """Entropy H(z, z) of the pixels z = level / 255, in nats per frame (A.1).

    No model that treats pixels as independent given the past can score below it on
    the frames that were counted: its best prediction is z itself. 0 log 0 is 0.
    """
    z = np.arange(1, 255) / 255
    entropy = np.zeros(256)
    entropy[1:255] = -(z * np.log(z) + (1 - z) * np.log(1 - z))
    return float(np.dot(entropy, np.array(levels, np.float64)) / frames)
