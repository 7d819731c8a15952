"""Robotic pushing: videos of any length, from files in their true format."""

from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import Layout
from svtcli.failure import Refused
from svtcli.prepare.plan import Outcome, Plan, Promise, Task, beside
from svtcli.prepare.sources import make_plan
from svtcli.prepare.sources.robot_push import ADDRESS, val_files
from svtcli.recipe.data import RobotPushData
from svtcli.video.image import read_resized
from tests.prepare.record_files import (
    encode_example,
    push_features,
    write_push_file,
    write_records,
    write_robot_push,
)

Features = dict[str, list[bytes] | np.ndarray]


def plan(folder: Path, **settings) -> Plan:
    return make_plan(RobotPushData("robot-push", str(folder), **settings))


def tasks(plan: Plan) -> dict[str, list[Task]]:
    """By split."""
    found: dict[str, list[Task]] = {}
    for group in plan.groups:
        found.setdefault(group.name[: -len(group.label) - 1], []).extend(group.tasks)
    return found


def run(task: Task, place: Path, size: int = 64) -> tuple[dict, Outcome]:
    """Frames, actions and states of a task."""
    frames = place / "0.frames"
    outcome = task.run(frames)
    rows = {"frames": np.fromfile(frames, np.uint8).reshape(-1, size, size, 3)}
    for name in ("actions", "states"):
        rows[name] = np.fromfile(beside(frames, name), "<f4").reshape(-1, 5)
    assert {len(each) for each in rows.values()} == {outcome.frames}
    return rows, outcome


def push_file(folder: Path, *records: Features) -> Task:
    """A source with one file of these records, as its task with the given settings."""
    write_push_file(folder, "testseen", 0, [*records])
    return only_task(folder)


def only_task(folder: Path, **settings) -> Task:
    (task,) = tasks(plan(folder, splits=("test-seen",), **settings))["test-seen"]
    return task


def without(features: Features, key: str) -> Features:
    return {name: value for name, value in features.items() if name != key}


def test_splits_are_the_publishers_and_val_the_last_train_files(tmp_path: Path) -> None:
    made = plan(write_robot_push(tmp_path))
    assert {
        split: [task.source for task in found] for split, found in tasks(made).items()
    } == {
        "train": [
            "push_train.tfrecord-00000-of-00264",
            "push_train.tfrecord-00001-of-00264",
        ],
        "val": ["push_train.tfrecord-00010-of-00264"],
        "test-seen": ["push_testseen.tfrecord-00000-of-00005"],
        "test-novel": ["push_testnovel.tfrecord-00000-of-00005"],
    }
    assert made.findings == {
        "files": {"train": 2, "val": 1, "test-seen": 1, "test-novel": 1},
        "videos": {"train": 4, "val": 2, "test-seen": 2, "test-novel": 2},
    }
    assert made.layout == Layout((64, 64, 3), {"actions": 5, "states": 5})
    assert "files of push_train: 3; of the published one: 264" in made.notes
    val = "push_train.tfrecord-00010-of-00264"
    assert f"val is {val}, cut from train" in made.notes


def test_val_is_five_files_of_all_and_at_least_one_of_two() -> None:
    shares = {files: val_files(files) for files in (0, 1, 2, 60, 100, 264, 1000)}
    assert shares == {0: 0, 1: 0, 2: 1, 60: 1, 100: 2, 264: 5, 1000: 5}


def test_pictures_actions_and_states_are_those_of_the_record(tmp_path: Path) -> None:
    features = push_features(20)
    rows, outcome = run(push_file(tmp_path, features), tmp_path)
    (cut,) = outcome.cuts
    assert (cut.split, cut.first, cut.frames) == ("test-seen", 0, 20)
    facts = cut.facts
    assert facts.id == "push_testseen.tfrecord-00000-of-00005/0"
    assert (facts.width, facts.height, facts.codec) == (640, 512, "jpeg")
    for i in range(20):
        (raw,) = features[f"move/{i}/image/encoded"]
        np.testing.assert_array_equal(rows["frames"][i], read_resized(raw, 64, "crop"))
        action = features[f"move/{i}/commanded_pose/vec_pitch_yaw"]
        np.testing.assert_array_equal(rows["actions"][i], action)
        state = features[f"move/{i}/endeffector/vec_pitch_yaw"]
        np.testing.assert_array_equal(rows["states"][i], state)


def test_a_picture_can_be_squashed(tmp_path: Path) -> None:
    features = push_features(20)
    push_file(tmp_path, features)
    rows, _ = run(only_task(tmp_path, fit="squash", size=32), tmp_path, 32)
    (raw,) = features["move/3/image/encoded"]
    np.testing.assert_array_equal(rows["frames"][3], read_resized(raw, 32, "squash"))
    assert (
        np.abs(rows["frames"][3] - read_resized(raw, 32, "crop").astype(int)).mean() > 5
    )


def small(frames: int, seed: int = 0) -> Features:
    return push_features(frames, seed, 80, 64)


def test_lengths_vary_and_short_videos_give_no_clip(tmp_path: Path) -> None:
    # An empty picture ends a video, whatever other keys there are.
    empty = small(25, 3) | {"move/21/image/encoded": [b""]}
    task = push_file(tmp_path, small(25), small(20), small(12), empty, {})
    rows, outcome = run(task, tmp_path)
    assert [(cut.first, cut.frames) for cut in outcome.cuts] == [
        (0, 25),
        (25, 20),
        (45, 21),
    ]
    last = empty["move/20/commanded_pose/vec_pitch_yaw"]
    np.testing.assert_array_equal(rows["actions"][65], last)
    assert [(m.record, m.reason, m.unreadable) for m in outcome.failures] == [
        (2, "too-short", False),
        (4, "too-short", False),
    ]
    assert outcome.failures[0].detail == "12 frames, a clip has at least 20"


def test_a_number_of_frames_keeps_the_first_ones(tmp_path: Path) -> None:
    long, short = small(12), small(9)
    # What is not kept need not be whole.
    long["move/11/image/encoded"] = [b"broken"]
    push_file(tmp_path, long, short)
    rows, outcome = run(only_task(tmp_path, frames=10), tmp_path)
    assert [(cut.first, cut.frames) for cut in outcome.cuts] == [(0, 10)]
    action = long["move/9/commanded_pose/vec_pitch_yaw"]
    np.testing.assert_array_equal(rows["actions"][9], action)
    assert [failure.detail for failure in outcome.failures] == [
        "9 frames, a clip has at least 10"
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("commanded_pose", "action-missing"), ("endeffector", "state-missing")],
)
def test_a_missing_action_or_state_loses_its_video(
    tmp_path: Path, name: str, reason: str
) -> None:
    key = f"move/19/{name}/vec_pitch_yaw"
    task = push_file(tmp_path, without(small(20), key), small(20, 1))
    _, outcome = run(task, tmp_path)
    assert [cut.facts.id.rpartition("/")[2] for cut in outcome.cuts] == ["1"]
    (failure,) = outcome.failures
    assert (failure.record, failure.reason, failure.detail) == (
        0,
        reason,
        f"has no {key}",
    )


def test_a_broken_picture_loses_its_video_and_leaves_nothing(tmp_path: Path) -> None:
    broken = small(20)
    (raw,) = broken["move/7/image/encoded"]
    broken["move/7/image/encoded"] = [raw[: len(raw) // 2]]
    rows, outcome = run(push_file(tmp_path, broken, small(20, 1)), tmp_path)
    assert len(rows["frames"]) == 20
    (failure,) = outcome.failures
    assert (failure.record, failure.reason) == (0, "decode")
    assert failure.detail.startswith(
        "frame 7: not a whole picture (image file is trunc"
    )


def test_a_damaged_record_loses_only_its_own_clip(tmp_path: Path) -> None:
    path = write_push_file(tmp_path, "testseen", 0, [small(20, i) for i in range(3)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    _, outcome = run(only_task(tmp_path), tmp_path)
    assert [failure.item for failure in outcome.failures] == [f"{path.name}#1"]
    assert len(outcome.cuts) == 2


@pytest.mark.parametrize("seed", range(12))
def test_every_video_is_a_clip_or_counted_as_lost(tmp_path: Path, seed: int) -> None:
    path = write_push_file(tmp_path, "testseen", 0, [small(2, i) for i in range(6)])
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for at in rng.integers(len(data), size=seed % 4):
        data[at] ^= 1 << rng.integers(8)
    path.write_bytes(data[: rng.integers(len(data)) if seed % 2 else None])
    task = only_task(tmp_path, min_frames=2)
    _, outcome = run(task, tmp_path)
    lost = sum(failure.lost for failure in outcome.failures)
    assert len(outcome.cuts) + lost == task.units
    assert lost or not seed % 4


def test_a_promise_is_taken_from_the_first_video_that_is_long_enough(
    tmp_path: Path,
) -> None:
    push_file(tmp_path, small(5), small(22), small(30))
    assert only_task(tmp_path).promise() == Promise(3, 66)
    assert only_task(tmp_path, frames=3).promise() == Promise(3, 9)
    assert only_task(tmp_path, min_frames=99).promise() == Promise(0, 0)


def test_a_damaged_file_promises_nothing_and_is_a_failure(tmp_path: Path) -> None:
    path = write_push_file(tmp_path, "testseen", 0, [])
    for content in (b"", b"<html>not found</html>"):
        path.write_bytes(content)
        task = only_task(tmp_path)
        assert task.units == 1
        assert task.promise() == Promise(0, 0)
        _, outcome = run(task, tmp_path)
        assert [failure.lost for failure in outcome.failures] == [1]
        assert not outcome.cuts
        (tmp_path / "0.frames").unlink()
        for name in ("actions", "states"):
            beside(tmp_path / "0.frames", name).unlink()


def test_a_limit_takes_the_first_videos_of_each_split(tmp_path: Path) -> None:
    made = plan(write_robot_push(tmp_path), limit=3)
    units = {s: [t.units for t in found] for s, found in tasks(made).items()}
    assert units == {"train": [2, 1], "val": [2], "test-seen": [2], "test-novel": [2]}


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_push_file(tmp_path, "train", 0, [small(20)])
    with pytest.raises(Refused, match="no files of val and test-seen and test-novel"):
        plan(tmp_path)
    assert plan(tmp_path, splits=("train",)).units == 1


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_robot_push(tmp_path / "a")
    write_robot_push(tmp_path / "b")
    with pytest.raises(Refused, match="is there twice"):
        plan(tmp_path)


def test_an_empty_source_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no robot-push videos there") as refused:
        plan(tmp_path)
    for words in (ADDRESS, "push_testnovel", "--download"):
        assert words in str(refused.value.hint)


def test_links_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    path = write_push_file(tmp_path / "outside", "testseen", 0, [small(20)])
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / path.name).symlink_to(path)
    with pytest.raises(Refused, match="no robot-push videos there"):
        plan(tmp_path / "raw")


def test_other_keys_of_a_record_do_not_matter(tmp_path: Path) -> None:
    more = {f"move/{i}/joint/positions": np.zeros(7, np.float32) for i in range(90)}
    path = write_push_file(tmp_path, "testseen", 0, [])
    write_records(path, [encode_example(small(20) | more)])
    _, outcome = run(only_task(tmp_path), tmp_path)
    assert [cut.frames for cut in outcome.cuts] == [20]
