"""Bouncing digits, and clips generated on the fly: equal to stored ones, to the bit."""

import pickle
import re
import shutil
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtcli.clips.format import Manifest, Split, write_manifest
from svtcli.clips.on_the_fly import bouncing_clip, clip_rng, digit_path, write_digits
from svtcli.clips.reader import GeneratedClips, open_clips, open_generated
from svtcli.clips.verify import verify
from svtcli.failure import BadData, Refused
from svtcli.prepare.sources import make_plan
from svtcli.recipe.data import MovingMnistData
from svtcli.run.progress import Silent
from tests.idx_files import handwritten_digits, write_mnist

places = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(np.array)
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
    split = Split(clips, clips * frames, (), drawn)
    manifest = replace(EMPTY, splits={"train": split})
    return open_generated(folder, manifest, "train"), manifest


def test_a_digit_steps_before_it_is_recorded() -> None:
    path = digit_path(np.array([0.5, 0.2]), 0.0, 3)  # angle 0 moves along x
    np.testing.assert_allclose(path, [[0.5, 0.3], [0.5, 0.4], [0.5, 0.5]])


def test_a_wall_clamps_and_flips_and_does_not_reflect() -> None:
    path = digit_path(np.array([0.5, 0.85]), 0.0, 4)
    # True reflection would be back at 0.95, 0.85, not at 1.0, 0.9.
    np.testing.assert_allclose(path[:, 1], [0.95, 1.0, 0.9, 0.8])
    path = digit_path(np.array([0.03, 0.5]), -pi / 2, 3)
    np.testing.assert_allclose(path[:, 0], [0.0, 0.1, 0.2], atol=1e-12)


@given(places, st.floats(0, 2 * pi))
def test_paths_are_those_of_the_published_generator(
    start: np.ndarray, angle: float
) -> None:
    y, x = start
    v_y, v_x = sin(angle), cos(angle)
    for place in digit_path(start, angle, 20):
        y, x = y + v_y * 0.1, x + v_x * 0.1
        if x <= 0:
            x, v_x = 0, -v_x
        if x >= 1:
            x, v_x = 1, -v_x
        if y <= 0:
            y, v_y = 0, -v_y
        if y >= 1:
            y, v_y = 1, -v_y
        np.testing.assert_allclose(place, (y, x), atol=1e-9)


def test_digits_are_whole_pixels_over_each_other_by_maximum() -> None:
    digits = np.stack(
        [np.full((28, 28), 100, np.uint8), np.full((28, 28), 7, np.uint8)]
    )
    levels = set()
    for i in range(50):
        video = bouncing_clip(digits, clip_rng(0, "train", i), 2, 20, 64)
        assert video.shape == (20, 64, 64, 1)
        levels |= set(np.unique(video).tolist())
        assert all((frame > 0).sum() <= 2 * 28**2 for frame in video)
    assert levels == {0, 7, 100}


def test_the_top_left_corner_is_truncated_not_rounded() -> None:
    digit = np.zeros((1, 28, 28), np.uint8)
    digit[0, 0, 0] = 255
    for i in range(20):
        video = bouncing_clip(digit, clip_rng(0, "train", i), 1, 20, 64)
        rng = clip_rng(0, "train", i)
        rng.integers(1, size=1)
        path = digit_path(rng.random((1, 2))[0], float(rng.random(1)[0] * 2 * pi), 20)
        corners = np.argwhere(video[..., 0])[:, 1:]
        np.testing.assert_array_equal(corners, np.floor(36 * path))


def test_a_clip_depends_on_seed_split_and_number_alone() -> None:
    digits = handwritten_digits()

    def video(seed: int, split: str, index: int) -> bytes:
        return bouncing_clip(digits, clip_rng(seed, split, index), 2, 5, 64).tobytes()

    videos = [
        video(seed, split, index)
        for seed in (0, 1, -1)
        for split in ("train", "val", "test")
        for index in (0, 1, 2**40)
    ]
    assert len(set(videos)) == len(videos)
    assert video(0, "val", 1) == videos[4]


def test_digits_reach_every_position() -> None:
    digit = np.zeros((1, 28, 28), np.uint8)
    digit[0, 0, 0] = 255
    seen = np.zeros((64, 64), bool)
    for i in range(400):
        video = bouncing_clip(digit, clip_rng(0, "train", i), 1, 20, 64)
        places = np.argwhere(video[..., 0])
        assert len(places) == 20
        assert all(abs(a - b).max() <= 4 for a, b in pairwise(places[:, 1:]))
        seen |= video.any((0, 3))
    assert seen[:37, :37].mean() > 0.95
    assert not seen[37:].any()
    assert not seen[:, 37:].any()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> GeneratedClips:
    return drawn_clips(tmp_path_factory.mktemp("drawn"), 1000)[0]


def test_a_generated_split_equals_the_stored_one(tmp_path: Path) -> None:
    source = str(write_mnist(tmp_path / "raw"))
    data = MovingMnistData("moving-mnist", source, train=30, val=0, test=2)
    task = make_plan(data).groups[0].tasks[0]
    outcome = task.run(tmp_path / "frames")
    assert (task.promise().clips, task.promise().frames) == (30, outcome.frames)
    stored = np.fromfile(tmp_path / "frames", np.uint8).reshape(30, 20, 64, 64, 1)

    lazy = make_plan(replace(data, on_the_fly=True))
    assert {task.split for group in lazy.groups for task in group.tasks} == {"test"}
    assert lazy.notes == ("train is generated on the fly: 30 clips, none stored",)
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
    with pytest.raises(BadData, match=r"train\.digits\.npy has changed"):
        verify(tmp_path, Silent())


def test_a_generated_clip_equals_the_generator(clips: GeneratedClips) -> None:
    for index in (0, 1, 999):
        wanted = bouncing_clip(DIGITS, clip_rng(5, "train", index), 2, 20, 64)
        np.testing.assert_array_equal(clips.read(index), wanted)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 999), st.integers(0, 20), st.integers(0, 20))
def test_a_range_has_the_pixels_of_the_clip(
    clips: GeneratedClips, index: int, start: int, frames: int
) -> None:
    frames = min(frames, 20 - start)
    whole = clips.read(index)
    part = clips.read(index, start, frames)
    np.testing.assert_array_equal(part, whole[start : start + frames])
    np.testing.assert_array_equal(clips.read(index, start), whole[start:])


def test_a_range_outside_the_clip_is_an_error(clips: GeneratedClips) -> None:
    for request in [(1000,), (-1,), (0, 15, 6), (0, -1, 2)]:
        with pytest.raises(IndexError):
            clips.read(*request)
    with pytest.raises(IndexError):
        clips.facts[1000]


def test_clips_have_names_and_neither_labels_nor_actions(clips: GeneratedClips) -> None:
    assert clips.ids[7] == "train/000007"
    assert list(clips.ids[5:7]) == ["train/000005", "train/000006"]
    assert clips.facts[0].label is None
    assert clips.actions(3) is None
    assert clips.states(3) is None
    assert clips.action_size == 0


def test_millions_of_clips_take_no_memory(tmp_path: Path) -> None:
    _, manifest = drawn_clips(tmp_path, 1)
    one = manifest.splits["train"]
    many = {"train": replace(one, clips=19_200_000, frames=19_200_000 * 20)}
    tracemalloc.start()
    clips = open_generated(tmp_path, replace(manifest, splits=many), "train")
    last = clips.read(19_199_999)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(clips) == len(clips.ids) == len(clips.lengths) == 19_200_000
    assert clips.ids[-1 + len(clips)] == "train/19199999"
    wanted = bouncing_clip(DIGITS, clip_rng(5, "train", 19_199_999), 2, 20, 64)
    np.testing.assert_array_equal(last, wanted)
    assert peak < 8e6, "a byte for each clip would be 19 MB"


def test_the_digits_are_read_in_another_process_from_the_folder(
    clips: GeneratedClips,
) -> None:
    sent = pickle.dumps(clips)
    assert len(sent) < DIGITS.nbytes / 10
    np.testing.assert_array_equal(pickle.loads(sent).read(3), clips.read(3))


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_damaged_digits_are_named(tmp_path: Path, harm: str) -> None:
    _, manifest = drawn_clips(tmp_path, 3, seed=6)
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
        open_generated(tmp_path, manifest, "train")


def test_other_seeds_and_digits_are_other_clips(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    first = drawn_clips(one, 3)[0].read(0)
    assert not np.array_equal(first, drawn_clips(two, 3, seed=6)[0].read(0))
