"""Only what is asked for is read, and the memory does not grow with N."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from svtcli.evaluate.foreign import open_videos
from svtcli.run.samples import read_samples
from svtcli.video.array_layout import ArrayForm
from tests.evaluate.video_kinds import (
    clips,
    containers,
    frame_folders,
    noise,
    npy,
    npz,
    samples,
)

SHAPE = (64, 4, 32, 32, 3)
ROW = int(np.prod(SHAPE[1:]))


@pytest.mark.parametrize("write", [npy, npz, samples, clips])
def test_memory_holds_the_rows_that_are_asked_for_and_no_more(
    tmp_path: Path, write: Callable
) -> None:
    videos = noise(*SHAPE)
    source = write(tmp_path / "videos", videos)
    np.testing.assert_array_equal(open_videos(source).read(np.array([3])), videos[3:4])
    tracemalloc.start()
    try:
        opened = open_videos(source)
        for row in range(opened.count):
            opened.read(np.array([row]), frames=2)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One video, its copy, and what Python needs to read a header.
    assert most < 2 * ROW + 300_000 < videos.nbytes / 2


def test_a_file_larger_than_memory_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    shape = (4096, 1, 16, 256, 256, 3)
    header = np.lib.format.header_data_from_array_1_0(np.empty(0, np.uint8))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header | {"shape": shape})
        start = file.tell()
        # A hole: 13 GB that take no disk.
        file.truncate(start + int(np.prod(shape)))
        file.seek(start + 3 * int(np.prod(shape[1:])))
        file.write(bytes(range(256)))
    opened = open_videos(str(path))
    read = opened.read(np.array([3, 4095]), frames=1)
    assert read[0].ravel()[:256].tolist() == list(range(256))
    assert not read[1].any()


def test_floats_are_converted_video_by_video(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    # A hole: 13 GB that take no disk.
    floats = np.lib.format.open_memmap(path, "w+", "f4", (4096, 3, 16, 128, 128))
    floats[3, :, 0, 0, 0] = 0.5
    del floats
    opened = open_videos(str(path), stated=ArrayForm("NCTHW", "-1..1"))
    tracemalloc.start()
    try:
        read = opened.read(np.array([3, 4095]))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read[0, 0, 0, 0].tolist() == [191] * 3
    assert (read[1] == 128).all()
    assert most < 2 * read.nbytes + 4 * 4 * read[0].size


@pytest.mark.parametrize(
    "write", [frame_folders(".png"), containers(".mkv", "ffv1", "bgr0")]
)
def test_only_the_files_of_a_row_are_opened(tmp_path: Path, write: Callable) -> None:
    videos = noise(12, 3, 4, 4, 3)
    folder = Path(write(tmp_path / "videos", videos))
    opened = open_videos(str(folder))
    third = sorted(folder.iterdir(), key=lambda path: int(path.stem.strip("v")))[3]
    for path in folder.rglob("*.*"):
        if third not in (path, path.parent):
            path.unlink()
    np.testing.assert_array_equal(opened.read(np.array([3, 3])), videos[[3, 3]])


def test_frames_after_the_last_one_asked_for_are_not_opened(tmp_path: Path) -> None:
    videos = noise(2, 3, 4, 4, 3)
    folder = Path(frame_folders(".png")(tmp_path / "videos", videos))
    (folder / "v1" / "frame10.png").write_bytes(b"not a picture")
    opened = open_videos(str(folder), frames=2)
    np.testing.assert_array_equal(opened.read(np.array([1, 0])), videos[::-1, :2])


def test_mapped_samples_are_the_samples(tmp_path: Path) -> None:
    folder = Path(samples(tmp_path / "a", noise(2, 3, 4, 4, 3)))
    mapped, whole = read_samples(folder, mapped=True), read_samples(folder)
    assert isinstance(mapped.video, np.memmap)
    assert not isinstance(whole.video, np.memmap)
    np.testing.assert_array_equal(mapped.video, whole.video)
    assert mapped.facts == whole.facts
