"""Small BAIR and robot-push sources in their true formats."""

import tarfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from svtcli.prepare.sources.tfrecord import (
    CHECKSUM,
    LENGTH,
    Value,
    example_class,
    masked_crc,
)

BAIR_FILES = (
    ("train", 256, 511),
    ("train", 512, 767),
    ("train", 1024, 1279),
    ("test", 0, 255),
)


def framed(data: bytes) -> bytes:
    """One record as it stands in a file."""
    length = LENGTH.pack(len(data))
    checks = (CHECKSUM.pack(masked_crc(part)) for part in (length, data))
    return b"".join((length, next(checks), data, next(checks)))


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write a TFRecord file."""
    with path.open("wb") as file:
        for record in records:
            file.write(framed(record))


def encode_example(values: Mapping[str, Value]) -> bytes:
    """An Example's bytes, the same every time; arrays are float32 or int64."""
    message: Any = example_class()()
    for key, value in values.items():
        feature = message.features.feature[key]
        if isinstance(value, list):
            feature.bytes_list.value.extend(value)
            feature.bytes_list.SetInParent()
        elif value.dtype == np.float32:
            feature.float_list.value.extend(value.tolist())
            feature.float_list.SetInParent()
        elif value.dtype == np.int64:
            feature.int64_list.value.extend(value.tolist())
            feature.int64_list.SetInParent()
        else:
            raise TypeError(f"{key}: {value.dtype} is neither float32 nor int64")
    return bytes(message.SerializeToString(deterministic=True))


def bair_video(split: str, first: int, number: int) -> dict[str, np.ndarray]:
    """`aux1`, `main` [30, 64, 64, 3], `actions` [30, 4], `states` [30, 3]."""
    rng = np.random.default_rng([len(split), first, number])
    return {
        "aux1": rng.integers(0, 256, (30, 64, 64, 3), np.uint8),
        "main": rng.integers(0, 256, (30, 64, 64, 3), np.uint8),
        "actions": rng.normal(size=(30, 4)).astype(np.float32),
        "states": rng.normal(size=(30, 3)).astype(np.float32),
    }


def bair_features(video: dict[str, np.ndarray]) -> dict[str, list[bytes] | np.ndarray]:
    """The 120 features of a record."""
    features: dict[str, list[bytes] | np.ndarray] = {}
    for i in range(30):
        features[f"{i}/image_main/encoded"] = [video["main"][i].tobytes()]
        features[f"{i}/image_aux1/encoded"] = [video["aux1"][i].tobytes()]
        features[f"{i}/action"] = video["actions"][i]
        features[f"{i}/endeffector_pos"] = video["states"][i]
    return features


def write_bair(folder: Path, videos: int = 3, files: tuple = BAIR_FILES) -> Path:
    """The unpacked form: so many videos in each file; gives `folder`."""
    for split, first, last in files:
        path = folder / "softmotion30_44k" / split / f"traj_{first}_to_{last}.tfrecords"
        path.parent.mkdir(parents=True, exist_ok=True)
        made = (bair_video(split, first, number) for number in range(videos))
        write_records(path, (encode_example(bair_features(video)) for video in made))
    return folder


def write_bair_tar(folder: Path, videos: int = 3, files: tuple = BAIR_FILES) -> Path:
    """The published form, one tar; gives its path."""
    unpacked = write_bair(folder / "unpacked", videos, files)
    path = folder / "bair_robot_pushing_dataset_v0.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(unpacked / "softmotion30_44k", "softmotion30_44k")
    for file in unpacked.rglob("*.tfrecords"):
        file.unlink()
    return path


def write_bair_png(folder: Path, videos: int = 3, files: tuple = BAIR_FILES) -> Path:
    """The form of SVG's converter; gives `folder`."""
    for split, first, last in files:
        place = folder / "processed_data" / split / f"traj_{first}_to_{last}"
        for number in range(videos):
            (place / str(number + 1)).mkdir(parents=True)
            for i, frame in enumerate(bair_video(split, first, number)["aux1"]):
                Image.fromarray(frame).save(place / f"{number + 1}/{i}.png")
    return folder


def push_features(
    frames: int, seed: int = 0, width: int = 640, height: int = 512
) -> dict[str, list[bytes] | np.ndarray]:
    """The features of a record of robot-push, smooth pictures as JPEG."""
    rng = np.random.default_rng(seed)
    features: dict[str, list[bytes] | np.ndarray] = {}
    for i in range(frames):
        features[f"move/{i}/image/encoded"] = [jpeg(picture(rng, width, height))]
        for name in ("commanded_pose", "endeffector"):
            key = f"move/{i}/{name}/vec_pitch_yaw"
            features[key] = rng.normal(size=5).astype(np.float32)
    return features


def picture(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3] with edges and slopes."""
    coarse = rng.integers(0, 256, (8, 10, 3), np.uint8)
    large = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.array(large)
    pixels[height // 3 : height // 2, width // 4 : width // 3] = (250, 30, 10)
    return pixels


def jpeg(pixels: np.ndarray) -> bytes:
    """A picture as JPEG."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def write_push_file(
    folder: Path,
    split: str,
    number: int,
    records: list[dict[str, list[bytes] | np.ndarray]],
) -> Path:
    """File `number` of `train`, `testseen` or `testnovel`; gives its path."""
    of = 264 if split == "train" else 5
    name = f"push_{split}.tfrecord-{number:05d}-of-{of:05d}"
    path = folder / "push" / f"push_{split}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_records(path, (encode_example(record) for record in records))
    return path


def write_robot_push(folder: Path, frames: tuple[int, ...] = (21, 20)) -> Path:
    """Three train files and one of each test split, videos of so many frames each.

    Pictures are 80 × 64, to be quick. Gives `folder`.
    """
    for split, numbers in (
        ("train", (0, 1, 10)),
        ("testseen", (0,)),
        ("testnovel", (0,)),
    ):
        for number in numbers:
            records = [
                push_features(length, seed, 80, 64)
                for seed, length in enumerate(frames)
            ]
            write_push_file(folder, split, number, records)
    return folder
