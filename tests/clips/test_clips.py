import json
import re
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.clips.format import (
    ClipFacts,
    Layout,
    fingerprint_of,
    npy_header,
    read_manifest,
)
from svtcli.clips.reader import open_clips
from svtcli.clips.writer import ShardWriter
from svtcli.failure import BadData, Locked, Refused
from svtcli.run.lock import only_writer
from tests.make_clips import MakeClips, clip

LENGTHS = (5, 1, 300, 7, 2)


def test_every_clip_comes_back_as_it_was_written(make_clips: MakeClips) -> None:
    clips = open_clips(make_clips(LENGTHS), "train")
    assert tuple(clips.lengths) == LENGTHS
    assert tuple(clips.ids) == tuple(f"clip {i}" for i in range(5))
    assert clips.name == "tiny"
    assert clips.shape == (4, 6, 3)
    for i, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(clips.read(i), clip(i, length, clips.shape)[0])
        assert clips.actions(i) is None


def test_a_range_equals_that_range_of_the_clip(
    make_clips: MakeClips,
) -> None:
    clips = open_clips(make_clips(LENGTHS, actions=2), "train")

    @given(st.integers(0, 4), st.integers(0, 400), st.integers(0, 400))
    def law(index: int, start: int, frames: int) -> None:
        video, actions = clip(index, LENGTHS[index], clips.shape, 2)
        assert actions is not None
        if start + frames > LENGTHS[index]:
            with pytest.raises(IndexError):
                clips.read(index, start, frames)
            return
        part = slice(start, start + frames)
        np.testing.assert_array_equal(clips.read(index, start, frames), video[part])
        np.testing.assert_array_equal(
            clips.actions(index, start, frames), actions[part]
        )

    law()


def test_numpy_alone_can_open_a_shard(make_clips: MakeClips) -> None:
    folder = make_clips(LENGTHS)
    frames = np.load(folder / "train-00002.frames.npy", mmap_mode="r")
    offsets = np.load(folder / "train-00002.offsets.npy")
    assert (frames.shape, frames.dtype) == ((307, 4, 6, 3), np.uint8)
    assert offsets.tolist() == [0, 300, 307]
    assert offsets.dtype == np.int64
    meta = (folder / "train-00002.meta.jsonl").read_text().splitlines()
    checksum = f"{google_crc32c.value(frames[300:].tobytes()):08x}"
    said = {"id": "clip 3", "source": "v3.mp4", "start": 0, "crc32c": checksum}
    assert json.loads(meta[1]) == said


def test_labels_choose_clips(make_clips: MakeClips) -> None:
    labels = ("making tea", "playing chess", None)
    folder = make_clips(LENGTHS, labels=labels)
    every = open_clips(folder, "train")
    assert [facts.label for facts in every.facts] == [labels[i % 3] for i in range(5)]
    tea = open_clips(folder, "train", re.compile("making"))
    assert [*tea.ids] == ["clip 0", "clip 3"]
    assert tuple(tea.lengths) == (5, 7)
    np.testing.assert_array_equal(tea.read(1, 2, 4), every.read(3, 2, 4))
    assert tea.fingerprint != every.fingerprint
    assert (every.filtered, tea.filtered) == ("", "5 clips, 2 match 'making'")
    with pytest.raises(IndexError):
        tea.read(2)
    with pytest.raises(Refused, match=r"matches 'tea' \(2 labels, .* 'making tea'\)"):
        open_clips(folder, "train", re.compile("tea"))


def test_a_dataset_without_labels_has_none_to_choose(make_clips: MakeClips) -> None:
    with pytest.raises(Refused, match="its clips carry no labels"):
        open_clips(make_clips(LENGTHS), "train", re.compile(""))


@given(st.integers(0, 10**12), st.lists(st.integers(1, 10**5), max_size=3))
def test_every_header_has_the_same_length(rows: int, row: list[int]) -> None:
    assert len(npy_header(np.dtype("<f4"), (rows, *row))) == 128


def test_a_shape_that_does_not_fit_a_header_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit a header of 128 bytes"):
        npy_header(np.dtype("<f4"), (10**12,) * 5)


@pytest.mark.parametrize("ending", ["frames.npy", "offsets.npy", "meta.jsonl"])
@pytest.mark.parametrize("damage", ["short", "absent", "garbage"])
def test_a_damaged_shard_is_named_when_it_is_opened(
    make_clips: MakeClips, ending: str, damage: str
) -> None:
    folder = make_clips(LENGTHS)
    path = folder / f"train-00002.{ending}"
    whole = path.read_bytes()
    path.unlink()
    if damage == "short":
        path.write_bytes(whole[: len(whole) // 2])
    if damage == "garbage":
        path.write_bytes(b"<html>" + whole[6:])
    with pytest.raises(BadData, match=re.escape(path.name)):
        list(open_clips(folder, "train").ids)


@pytest.mark.parametrize("flipped", [128, 128 + 299 * 72, -1])
def test_a_clip_that_has_changed_is_refused_wherever_it_is_read(
    make_clips: MakeClips, flipped: int
) -> None:
    folder = make_clips(LENGTHS)
    path = folder / "train-00002.frames.npy"
    content = bytearray(path.read_bytes())
    content[flipped] ^= 1
    path.write_bytes(content)
    clips = open_clips(folder, "train")
    changed = 3 if flipped == -1 else 2
    for number in range(len(clips)):
        if number != changed:
            clips.read(number)
    for _ in range(2):
        with pytest.raises(
            BadData, match=rf"train-00002.*clip {changed} \(clip {changed}\)"
        ):
            clips.read(changed, 3, 1)


def test_clips_of_a_label_are_checked_by_their_own_checksums(
    make_clips: MakeClips,
) -> None:
    folder = make_clips(LENGTHS, labels=("tea", None))
    tea = open_clips(folder, "train", re.compile("tea"))
    for number in range(len(tea)):
        tea.read(number)


@pytest.mark.parametrize("file", ["actions.npy", "offsets.npy", "meta.jsonl"])
def test_a_small_file_that_has_changed_is_refused_when_clips_are_opened(
    make_clips: MakeClips, file: str
) -> None:
    path = make_clips(LENGTHS, actions=2) / f"train-00002.{file}"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadData, match=rf"{file}: has changed since it was written"):
        open_clips(path.parent, "train")


def test_a_manifest_of_before_has_no_checksum_and_is_read(
    make_clips: MakeClips,
) -> None:
    path = make_clips(LENGTHS) / "manifest.json"
    values = json.loads(path.read_text())
    del values["sha256"], values["files"]
    values["fingerprint"] = fingerprint_of(read_manifest(path.parent))
    path.write_text(json.dumps(values))
    read_manifest(path.parent)
    path.write_text(json.dumps({**values, "shape": [4, 6, 1]}))
    with pytest.raises(BadData, match="changed since it was written"):
        read_manifest(path.parent)
    path.write_text(json.dumps({**values, "sha255": "0"}))
    with pytest.raises(BadData, match="no checksum"):
        read_manifest(path.parent)


def test_clips_with_a_checksum_are_compared_with_it_when_they_are_copied(
    tmp_path: Path,
) -> None:
    video = np.zeros((2, 4, 4, 1), np.uint8)
    with (
        pytest.raises(BadData, match="here: has changed"),
        ShardWriter(tmp_path, "train-00000", Layout((4, 4, 1))) as writer,
    ):
        writer.add(ClipFacts("here", "a", crc32c="00000001"), video)


def test_missing_clips_are_refused(make_clips: MakeClips, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no split 'test'; it has train"):
        open_clips(make_clips(LENGTHS), "test")
    with pytest.raises(Refused, match="no such folder"):
        open_clips(tmp_path / "nowhere", "train")
    with pytest.raises(Refused, match="no prepared clips here"):
        open_clips(tmp_path, "train")


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', "[1, 2"])
def test_a_manifest_that_is_none_is_bad_data(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadData, match=r"damaged|not a manifest"):
        read_manifest(tmp_path)


def write_shard(folder: Path, *videos: np.ndarray) -> None:
    with ShardWriter(folder, "train-00000", Layout((4, 4, 1))) as writer:
        for number, video in enumerate(videos):
            writer.add(ClipFacts(f"{number}", "a"), video)


def test_a_shard_that_fails_leaves_nothing(tmp_path: Path) -> None:
    video = clip(0, 3, (4, 4, 1))[0]
    with pytest.raises(ValueError, match="at least one frame"):
        write_shard(tmp_path, video, video[:0])
    assert list(tmp_path.iterdir()) == []


def test_frames_of_another_size_do_not_fit_a_shard(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not uint8"):
        write_shard(tmp_path, clip(0, 3, (4, 5, 1))[0])


def test_clips_that_are_being_prepared_are_locked(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / ".work" / "task-0-of-2-abc"):
        with only_writer(place), pytest.raises(Locked, match="in use by process"):
            read_manifest(tmp_path)
    with pytest.raises(Refused, match="no prepared clips here"):
        read_manifest(tmp_path)
