"""Every dataset of the paper, in its true format, through the command itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import read_manifest
from svtcli.clips.reader import open_clips
from svtcli.recipe.labels import label_pattern
from tests.cli.terminal import svt
from tests.idx_files import write_mnist
from tests.prepare.kinetics_files import clip_name, write_list, youtube_id
from tests.prepare.record_files import bair_video, write_bair_tar, write_robot_push
from tests.video.video_files import moving_square, write_sound, write_video

CLASSES = ("making tea", "playing chess", "cutting nails")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("here")


def write_kinetics(folder: Path) -> Path:
    """Nine train clips of 40 frames and three val clips; dirt; a clip that is gone."""
    rows = []
    for number in range(12):
        split, label = ("val" if number >= 9 else "train"), CLASSES[number % 3]
        path = folder / split / label.replace(" ", "_") / clip_name(number)
        write_video(path, moving_square(40))
        rows.append(f"{label},{youtube_id(number)},10,20,{split}")
    rows.append(f"making tea,{youtube_id(99)},3,13,train")
    write_list(folder / "annotations/kinetics-600_train.csv", rows)
    (folder / "train/making_tea" / clip_name(50)).write_bytes(b"")
    write_sound(folder / "train/playing_chess" / clip_name(51))
    return folder


@pytest.fixture(scope="module")
def kinetics(place: Path) -> Path:
    """The working folder, with Kinetics in raw/ and prepared."""
    write_kinetics(place / "raw/kinetics")
    said = svt("prepare", *SMALL, cwd=place)
    assert (said.code, said.out) == (0, "clips/kinetics\n"), said.err
    (place / "said").write_text(said.err)
    return place


SMALL = ("kinetics", "--size", "16", "--frames", "8", "--max-failures", "20%")


def test_kinetics_keeps_a_window_and_counts_what_is_gone(kinetics: Path, here) -> None:
    said = (kinetics / "said").read_text()
    assert "train: 9 clips, 72 frames" in said
    assert "val: 3 clips, 24 frames" in said
    assert "gave no clips: 1 unreadable, 1 without video (see failures.jsonl)" in said
    would = here("prepare", *SMALL, "--out", "new", "-n")
    assert "new: 14 videos -> about 1" in would.out
    assert "1 missing" in would.out
    train = open_clips(kinetics / "clips/kinetics", "train")
    assert {facts.start for facts in train.facts} == {16}
    report = json.loads((kinetics / "clips/kinetics/report.json").read_text())
    assert report["classes"]["train"] == dict.fromkeys(sorted(CLASSES), 3)
    assert report["source"]["missing_by_class"] == {"making tea": 1}
    manifest = read_manifest(kinetics / "clips/kinetics")
    assert "lanczos" in manifest.pixels
    assert {"av", "libswscale", "svt"} <= set(manifest.versions)


def test_labels_filter_clips_when_they_are_read(kinetics: Path) -> None:
    cooking = label_pattern("cooking", "")
    train = open_clips(kinetics / "clips/kinetics", "train", cooking)
    assert {facts.label for facts in train.facts} == {"making tea", "cutting nails"}
    assert len(train) == 6


def test_the_cooking_subset_can_be_prepared_alone(kinetics: Path, here) -> None:
    flags = ("--size", "8", "--frames", "all", "--out", "cooking", "--split", "val")
    said = here("prepare", "kinetics", "--subset", "cooking", *flags)
    assert said.code == 0, said.err
    val = open_clips(kinetics / "cooking", "val")
    assert sorted(facts.label or "" for facts in val.facts) == [
        "cutting nails",
        "making tea",
    ]
    assert set(val.lengths) == {40}


def test_bair_keeps_its_bytes_actions_and_arm(place: Path, here) -> None:
    write_bair_tar(place / "raw/bair", videos=2)
    said = here("prepare", "bair")
    assert (said.code, said.out) == (0, "clips/bair\n"), said.err
    manifest = read_manifest(place / "clips/bair")
    counts = {name: split.clips for name, split in manifest.splits.items()}
    assert counts == {"train": 4, "val": 2, "test": 2}
    test, truth = open_clips(place / "clips/bair", "test"), bair_video("test", 0, 1)
    np.testing.assert_array_equal(test.read(1), truth["aux1"])
    np.testing.assert_array_equal(test.actions(1), truth["actions"])
    np.testing.assert_array_equal(test.states(1, 3, 5), truth["states"][3:8])
    limited = ("--limit", "1", "--view", "main", "--out", "one", "--split", "test")
    said = here("prepare", "bair", *limited)
    assert said.code == 0, said.err
    one = open_clips(place / "one", "test")
    np.testing.assert_array_equal(one.read(0), bair_video("test", 0, 0)["main"])


def test_robot_push_has_two_test_splits(place: Path, here) -> None:
    write_robot_push(place / "raw/robot-push", frames=(21, 12, 20))
    said = here("prepare", "robot-push", "--size", "16")
    assert (said.code, said.out) == (0, "clips/robot-push\n"), said.err
    assert "too short" in said.err
    manifest = read_manifest(place / "clips/robot-push")
    assert [*manifest.splits] == ["train", "val", "test-seen", "test-novel"]
    assert manifest.beside == {"actions": 5, "states": 5}
    novel = open_clips(place / "clips/robot-push", "test-novel")
    assert novel.lengths.tolist() == [21, 20]
    said = here("prepare", "verify", "clips/robot-push")
    assert said.code == 0


def test_moving_mnist_on_the_fly_is_the_stored_one(place: Path, here) -> None:
    write_mnist(place / "raw/moving-mnist", train=40, t10k=20)
    counts = ("moving-mnist", "--train", "5", "--val", "2", "--test", "2")
    for flags in ((), ("--on-the-fly", "--out", "drawn")):
        said = here("prepare", *counts, *flags)
        assert said.code == 0, said.err
    stored, drawn = (
        open_clips(place / folder, "train")
        for folder in ("clips/moving-mnist", "drawn")
    )
    assert len(drawn) == len(stored) == 5
    assert [*drawn.ids] == [*stored.ids]
    for index in range(5):
        np.testing.assert_array_equal(drawn.read(index), stored.read(index))
    assert not list((place / "drawn").glob("train-*"))
    assert here("prepare", "verify", "drawn").code == 0


def test_a_repaired_file_is_taken_with_retry_failed(place: Path, here) -> None:
    source = place / "repaired"
    write_video(source / "a.mp4", moving_square(8))
    (source / "b.mp4").write_bytes(b"")
    flags = ("folder", "--source", "repaired", "--size", "8", "--test", "0")
    said = here("prepare", *flags, "--max-failures", "50%")
    assert "gave no clips: 1 unreadable" in said.err
    write_video(source / "b.mp4", moving_square(9))
    said = here("prepare", *flags, "--retry-failed")
    assert (said.code, said.out) == (0, "clips/repaired\n"), said.err
    assert "train: 2 clips, 17 frames" in said.err
    assert not (place / "clips/repaired/failures.jsonl").exists()
    said = here("prepare", *flags)
    assert "already prepared" in said.err


def test_a_job_array_makes_its_parts_and_publishes_at_the_end(
    place: Path, here
) -> None:
    for name in ("a", "b"):
        write_video(place / f"two/{name}.mp4", moving_square(8))
    flags = ("prepare", "folder", "--source", "two", "--size", "8", "--test=0.5")
    array = (*flags, "--out", "array", "--task-count", "2", "--task-index")
    first = here(*array, "0", "--json")
    assert first.code == 0, first.err
    owed = {"folder": "array", "shards": 1, "of": 2, "dry_run": False}
    assert json.loads(first.out) == owed
    assert "1 of 2 shards are finished so far" in first.err
    last = here(*array, "1")
    assert last.code == 0
    assert "train: 1 clip," in last.err
