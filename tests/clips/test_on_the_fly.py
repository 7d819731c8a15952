"""Clips that are drawn when they are read: the stored ones, to the bit."""

import pickle
import re
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtcli.clips.bouncing import bouncing_clip, clip_rng
from svtcli.clips.manifest import Manifest, Split, write_manifest
from svtcli.clips.on_the_fly import DrawnClips, open_drawn, write_digits
from svtcli.clips.opening import open_clips
from svtcli.clips.verify import verify
from svtcli.failure import BadData, Refused, StorageFailed
from svtcli.prepare.sources.moving_mnist import plan_moving_mnist
from svtcli.recipe.data import MovingMnistData
from svtcli.run.progress import Silent
from tests.idx_files import handwritten_digits, write_mnist

DIGITS = handwritten_digits()[:200]
EMPTY = Manifest(
    spec={},
    inventory="",
    shape=(64, 64, 1),
    splits={},
    failures={},
    fingerprint="f",
)


def drawn_clips(folder: Path, clips: int, frames: int = 20, seed: int = 5):
    """Clips of a split `train` over 200 real digits."""
    drawn = write_digits(folder, "train", DIGITS, 2, seed, frames)
    manifest = replace(EMPTY, splits={"train": Split(clips, clips * frames, ())})
    return open_drawn(folder, manifest, "train", drawn), manifest, drawn


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> DrawnClips:
    return drawn_clips(tmp_path_factory.mktemp("drawn"), 1000)[0]


def test_a_drawn_split_holds_the_clips_of_the_stored_one(tmp_path: Path) -> None:
    source = str(write_mnist(tmp_path / "raw"))
    data = MovingMnistData("moving-mnist", source, train=30, val=0, test=2)
    task = plan_moving_mnist(data).groups[0].tasks[0]
    outcome = task.run(tmp_path / "frames")
    assert (task.promise().clips, task.promise().frames) == (30, outcome.frames)
    stored = np.fromfile(tmp_path / "frames", np.uint8).reshape(30, 20, 64, 64, 1)

    lazy = plan_moving_mnist(replace(data, on_the_fly=True))
    assert {task.split for group in lazy.groups for task in group.tasks} == {"test"}
    assert lazy.notes == ("train is drawn when it is read: 30 clips, none stored",)
    split = lazy.drawn["train"].keep(tmp_path)
    assert (split.clips, split.frames, split.shards) == (30, 600, ())
    assert split.files == ("train.digits.npy",)
    shutil.rmtree(tmp_path / "raw")
    write_manifest(tmp_path, replace(EMPTY, splits={"train": split}))
    clips = open_clips(tmp_path, "train")
    for index, (video, cut) in enumerate(zip(stored, outcome.cuts, strict=True)):
        np.testing.assert_array_equal(clips.read(index), video)
        assert clips.facts[index] == cut.facts
    assert verify(tmp_path, Silent()) == 30
    with pytest.raises(Refused, match="carry no labels"):
        open_clips(tmp_path, "train", re.compile("a"))
    (tmp_path / "train.digits.npy").write_bytes(b"")
    with pytest.raises(StorageFailed, match=r"train\.digits\.npy has changed"):
        verify(tmp_path, Silent())


def test_a_drawn_clip_is_what_the_generator_says(clips: DrawnClips) -> None:
    for index in (0, 1, 999):
        wanted = bouncing_clip(DIGITS, clip_rng(5, "train", index), 2, 20, 64)
        np.testing.assert_array_equal(clips.read(index), wanted)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 999), st.integers(0, 20), st.integers(0, 20))
def test_a_part_has_the_pixels_of_the_whole(
    clips: DrawnClips, index: int, start: int, frames: int
) -> None:
    frames = min(frames, 20 - start)
    whole = clips.read(index)
    part = clips.read(index, start, frames)
    np.testing.assert_array_equal(part, whole[start : start + frames])
    np.testing.assert_array_equal(clips.read(index, start), whole[start:])


def test_what_lies_outside_is_an_error(clips: DrawnClips) -> None:
    for request in [(1000,), (-1,), (0, 15, 6), (0, -1, 2)]:
        with pytest.raises(IndexError):
            clips.read(*request)
    with pytest.raises(IndexError):
        clips.facts[1000]


def test_clips_have_names_and_neither_labels_nor_actions(clips: DrawnClips) -> None:
    assert clips.ids[7] == "train/000007"
    assert list(clips.ids[5:7]) == ["train/000005", "train/000006"]
    assert clips.facts[0].label is None
    assert clips.actions(3) is None
    assert clips.states(3) is None
    assert clips.action_size == 0


def test_millions_of_clips_take_no_memory(tmp_path: Path) -> None:
    _, manifest, drawn = drawn_clips(tmp_path, 1)
    many = {"train": Split(19_200_000, 19_200_000 * 20, ())}
    tracemalloc.start()
    clips = open_drawn(tmp_path, replace(manifest, splits=many), "train", drawn)
    last = clips.read(19_199_999)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(clips) == len(clips.ids) == len(clips.lengths) == 19_200_000
    assert clips.ids[-1 + len(clips)] == "train/19199999"
    wanted = bouncing_clip(DIGITS, clip_rng(5, "train", 19_199_999), 2, 20, 64)
    np.testing.assert_array_equal(last, wanted)
    assert peak < 8e6, "a byte for each clip would be 19 MB"


def test_the_digits_are_read_in_another_process_from_the_folder(
    clips: DrawnClips,
) -> None:
    sent = pickle.dumps(clips)
    assert len(sent) < DIGITS.nbytes / 10
    np.testing.assert_array_equal(pickle.loads(sent).read(3), clips.read(3))


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_harmed_digits_are_named(tmp_path: Path, harm: str) -> None:
    _, manifest, drawn = drawn_clips(tmp_path, 3, seed=6)
    path = tmp_path / "train.digits.npy"
    content = bytearray(path.read_bytes())
    content[-30_000] ^= 1
    match harm:
        case "flip":
            path.write_bytes(content)
        case "truncate":
            path.write_bytes(path.read_bytes()[:-1])
        case "remove":
            path.unlink()
    with pytest.raises(BadData, match=r"train\.digits\.npy: (has changed|cannot be)"):
        open_drawn(tmp_path, manifest, "train", drawn)


def test_other_seeds_and_digits_are_other_clips(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    first = drawn_clips(one, 3)[0].read(0)
    assert not np.array_equal(first, drawn_clips(two, 3, seed=6)[0].read(0))
