"""BAIR in the three forms that people have it in, whole and damaged."""

import dataclasses
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import Layout
from svtcli.failure import Refused
from svtcli.prepare.plan import Failed, Outcome, Plan, Promise, beside
from svtcli.prepare.sources import make_plan
from svtcli.prepare.sources.bair import ADDRESS
from svtcli.recipe.data import BairData
from tests.prepare.record_files import (
    BAIR_FILES,
    bair_features,
    bair_video,
    encode_example,
    framed,
    write_bair,
    write_bair_png,
    write_bair_tar,
    write_records,
)

FORMS = {"tar": write_bair_tar, "files": write_bair, "png": write_bair_png}
Clips = dict[str, dict[str, np.ndarray]]


def plan(folder: Path, **settings) -> Plan:
    return make_plan(BairData("bair", str(folder), **settings))


def run(plan: Plan, place: Path) -> tuple[Clips, list[Outcome]]:
    """Every clip by id: its pixels, what is beside them, and its split."""
    clips, outcomes, number = Clips(), list[Outcome](), 0
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for group in plan.groups:
        for task in group.tasks:
            frames = place / f"{number}.frames"
            outcome = task.run(frames)
            outcomes.append(outcome)
            rows = {"frames": np.fromfile(frames, np.uint8).reshape(-1, 64, 64, 3)}
            for name, size in plan.layout.beside.items():
                numbers = np.fromfile(beside(frames, name), "<f4").reshape(-1, size)
                rows[name] = numbers
            assert {len(each) for each in rows.values()} == {outcome.frames}
            for cut in outcome.cuts:
                part = slice(cut.first, cut.first + cut.frames)
                clips[cut.facts.id] = {k: v[part] for k, v in rows.items()}
                clips[cut.facts.id]["split"] = np.array(cut.split)
            number += 1
    return clips, outcomes


def failures(outcomes: list[Outcome]) -> list[Failed]:
    return [failure for outcome in outcomes for failure in outcome.failures]


def tfrecords(folder: Path, split: str, first: int) -> Path:
    (path,) = folder.rglob(f"{split}/traj_{first}_to_*.tfrecords")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_frames_are_copied_byte_for_byte(tmp_path: Path, form: str) -> None:
    FORMS[form](tmp_path / "raw", 2)
    clips, outcomes = run(plan(tmp_path / "raw"), tmp_path / "out")
    assert not failures(outcomes)
    assert len(clips) == 8
    for split, first, last in BAIR_FILES:
        for number in range(2):
            clip = clips[f"{split}/traj_{first}_to_{last}/{number}"]
            video = bair_video(split, first, number)
            np.testing.assert_array_equal(clip["frames"], video["aux1"])
            if form != "png":
                np.testing.assert_array_equal(clip["actions"], video["actions"])
                np.testing.assert_array_equal(clip["states"], video["states"])


@pytest.mark.parametrize("form", FORMS)
def test_val_is_cut_from_train_and_test_is_untouched(tmp_path: Path, form: str) -> None:
    FORMS[form](tmp_path / "raw", 1)
    made = plan(tmp_path / "raw")
    clips, _ = run(made, tmp_path / "out")
    assert {name: str(clip["split"]) for name, clip in clips.items()} == {
        "train/traj_512_to_767/0": "train",
        "train/traj_1024_to_1279/0": "train",
        "train/traj_256_to_511/0": "val",
        "test/traj_0_to_255/0": "test",
    }
    assert "val is traj_256_to_511, cut from train" in made.notes
    assert made.findings["videos"] == {"train": 2, "val": 1, "test": 1}
    assert made.findings["files"] == {"train": 2, "val": 1, "test": 1}


def test_files_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    made = plan(write_bair(tmp_path, 1))
    sources = [task.source for group in made.groups for task in group.tasks]
    assert sources[:2] == [
        "train/traj_512_to_767.tfrecords",
        "train/traj_1024_to_1279.tfrecords",
    ]


def test_a_tar_and_its_unpacked_files_are_the_same_plan(tmp_path: Path) -> None:
    tar = write_bair_tar(tmp_path / "a", 1)
    unpacked = write_bair(tmp_path / "b", 1)
    from_tar, from_files = plan(tar.parent), plan(unpacked)
    assert from_tar.order == from_files.order
    assert from_tar.inventory == from_files.inventory
    _, ours = run(from_tar, tmp_path / "out")
    _, theirs = run(from_files, tmp_path / "out")
    assert ours == theirs


def test_png_files_have_no_actions_and_a_note_says_so(tmp_path: Path) -> None:
    made = plan(write_bair_png(tmp_path, 1))
    assert made.layout == Layout((64, 64, 3))
    assert any("no actions" in note or "none" in note for note in made.notes)
    with pytest.raises(Refused, match="PNG files show the camera aux1"):
        plan(tmp_path, view="main")


def test_the_other_camera_can_be_asked_for(tmp_path: Path) -> None:
    made = plan(write_bair(tmp_path / "raw", 1), view="main", splits=("test",))
    clips, _ = run(made, tmp_path / "out")
    frames = clips["test/traj_0_to_255/0"]["frames"]
    np.testing.assert_array_equal(frames, bair_video("test", 0, 0)["main"])


def test_a_shard_holds_four_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("svtcli.prepare.plan.SHARDS", 1)
    files = tuple(("train", 256 * i, 256 * i + 255) for i in range(2, 11))
    made = plan(write_bair(tmp_path, 1, files), splits=("train",))
    assert [len(group.tasks) for group in made.groups] == [4, 4, 1]
    assert [group.label for group in made.groups] == [
        "00000-of-00003",
        "00001-of-00003",
        "00002-of-00003",
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_limit_takes_the_first_videos_of_each_split(
    tmp_path: Path, form: str
) -> None:
    FORMS[form](tmp_path / "raw", 2)
    made = plan(tmp_path / "raw", limit=3)
    clips, outcomes = run(made, tmp_path / "out")
    assert not failures(outcomes)
    assert sorted(name for name in clips if str(clips[name]["split"]) == "train") == [
        "train/traj_1024_to_1279/0",
        "train/traj_512_to_767/0",
        "train/traj_512_to_767/1",
    ]
    assert made.units == 3 + 2 + 2
    assert made.findings["videos"] == {"train": 3, "val": 2, "test": 2}


@pytest.mark.parametrize("form", FORMS)
def test_a_promise_is_exact(tmp_path: Path, form: str) -> None:
    FORMS[form](tmp_path, 2)
    task = plan(tmp_path).groups[0].tasks[0]
    assert task.units == 2
    assert task.promise() == Promise(2, 60)


def test_a_damaged_record_loses_only_its_own_clip(tmp_path: Path) -> None:
    path = tfrecords(write_bair(tmp_path / "raw"), "test", 0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    clips, outcomes = run(plan(tmp_path / "raw", splits=("test",)), tmp_path / "out")
    assert list(clips) == ["test/traj_0_to_255/0", "test/traj_0_to_255/2"]
    (failure,) = failures(outcomes)
    assert failure.item == "test/traj_0_to_255.tfrecords#1"
    assert (failure.reason, failure.lost) == ("decode", 1)
    third = bair_video("test", 0, 2)
    np.testing.assert_array_equal(
        clips["test/traj_0_to_255/2"]["actions"], third["actions"]
    )


def test_a_damaged_length_loses_all_later_records(
    tmp_path: Path,
) -> None:
    path = tfrecords(write_bair(tmp_path / "raw"), "test", 0)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1  # the second record's length
    path.write_bytes(data)
    made = plan(tmp_path / "raw", splits=("test",))
    assert made.units == 256
    clips, outcomes = run(made, tmp_path / "out")
    assert list(clips) == ["test/traj_0_to_255/0"]
    (failure,) = failures(outcomes)
    assert (failure.record, failure.lost) == (1, 255)


def test_a_truncated_or_empty_file_is_a_failure(tmp_path: Path) -> None:
    raw = write_bair(tmp_path / "raw", 2)
    truncated, empty = tfrecords(raw, "test", 0), tfrecords(raw, "train", 256)
    truncated.write_bytes(truncated.read_bytes()[:-9])
    empty.write_bytes(b"")
    made = plan(raw, splits=("val", "test"))
    clips, outcomes = run(made, tmp_path / "out")
    assert list(clips) == ["test/traj_0_to_255/0"]
    gone, rest = failures(outcomes)
    assert (gone.reason, gone.detail, gone.lost) == ("open", "holds no records", 256)
    assert (rest.record, rest.lost) == (1, 255)


def test_a_file_that_vanishes_or_shrinks_after_planning_is_a_failure(
    tmp_path: Path,
) -> None:
    raw = write_bair(tmp_path / "raw", 2)
    made = plan(raw, splits=("val", "test"))
    tfrecords(raw, "train", 256).unlink()
    shorter = tfrecords(raw, "test", 0)
    shorter.write_bytes(shorter.read_bytes()[: shorter.stat().st_size // 2])
    _, outcomes = run(made, tmp_path / "out")
    gone, rest = failures(outcomes)
    assert (gone.reason, gone.lost) == ("open", 2)
    assert gone.detail == "cannot be read (No such file or directory)"
    assert (rest.record, rest.lost) == (1, 1)


def test_a_file_with_fewer_records_than_were_counted_is_a_failure(
    tmp_path: Path,
) -> None:
    raw = write_bair(tmp_path / "raw", 2)
    made = plan(raw, splits=("test",))
    path = tfrecords(raw, "test", 0)
    write_records(path, [bytes(path.stat().st_size - 16)])
    _, outcomes = run(made, tmp_path / "out")
    _, rest = failures(outcomes)
    assert (rest.record, rest.lost) == (1, 1)
    assert rest.detail == "ends after 1 records, 2 were counted"


ONE = bair_features(bair_video("test", 0, 0))
WITHOUT_ACTION = {key: value for key, value in ONE.items() if key != "7/action"}
WITHOUT_FRAME = {k: v for k, v in ONE.items() if k != "29/image_aux1/encoded"}


@pytest.mark.parametrize(
    ("features", "reason", "detail"),
    [
        (WITHOUT_ACTION, "action-missing", "has no 7/action"),
        (WITHOUT_FRAME, "decode", "has no 29/image_aux1/encoded"),
        (
            ONE | {"3/image_aux1/encoded": [b"small"]},
            "decode",
            "3/image_aux1/encoded is 5 bytes, not 12288",
        ),
        (
            ONE | {"2/action": np.ones(5, np.float32)},
            "decode",
            "2/action is not 4 floats",
        ),
        (
            ONE | {"2/endeffector_pos": np.full(3, np.nan, np.float32)},
            "decode",
            "2/endeffector_pos is not finite",
        ),
    ],
)
def test_an_incomplete_record_is_a_failure(
    tmp_path: Path, features: dict, reason: str, detail: str
) -> None:
    raw = write_bair(tmp_path / "raw", 1)
    records = [encode_example(features), encode_example(ONE), b"\xff\xff"]
    write_records(tfrecords(raw, "test", 0), records)
    clips, outcomes = run(plan(raw, splits=("test",)), tmp_path / "out")
    assert list(clips) == ["test/traj_0_to_255/1"]
    first, last = failures(outcomes)
    assert (first.record, first.reason, first.detail) == (0, reason, detail)
    assert (last.record, last.reason) == (2, "decode")
    assert "not a tf.train.Example" in last.detail


def test_a_damaged_picture_loses_only_its_video(tmp_path: Path) -> None:
    raw = write_bair_png(tmp_path / "raw", 3)
    videos = raw / "processed_data/test/traj_0_to_255"
    (videos / "1/4.png").write_bytes(b"")
    (videos / "3/29.png").unlink()
    clips, outcomes = run(plan(raw, splits=("test",)), tmp_path / "out")
    assert list(clips) == ["test/traj_0_to_255/1"]
    empty, gone = failures(outcomes)
    assert empty.detail == "1/4.png: not a whole picture (neither JPEG nor PNG)"
    assert gone.detail == "3/29.png: cannot be read (No such file or directory)"
    assert (empty.record, gone.record) == (0, 2)


def test_nothing_is_read_through_links_out_of_the_source(tmp_path: Path) -> None:
    outside = write_bair(tmp_path / "outside", 1)
    raw = tmp_path / "raw/train"
    raw.mkdir(parents=True)
    (raw / "traj_256_to_511.tfrecords").symlink_to(tfrecords(outside, "train", 256))
    (raw.parent / "softmotion30_44k").symlink_to(outside / "softmotion30_44k")
    with pytest.raises(Refused, match="no BAIR videos there"):
        plan(tmp_path / "raw")
    png = write_bair_png(tmp_path / "png", 1)
    picture = png / "processed_data/test/traj_0_to_255/1/0.png"
    picture.rename(tmp_path / "secret.png")
    picture.symlink_to(tmp_path / "secret.png")
    _, outcomes = run(plan(png, splits=("test",)), tmp_path / "out")
    assert [failure.reason for failure in failures(outcomes)] == ["open"]


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    raw = write_bair(tmp_path, 1, (("train", 512, 767), ("test", 0, 255)))
    with pytest.raises(Refused, match="no files of val there") as refused:
        plan(raw)
    assert refused.value.hint is not None
    assert "data.splits=[train, test]" in refused.value.hint
    assert plan(raw, splits=("train", "test")).units == 2


def test_a_video_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_bair(tmp_path / "a", 1)
    write_bair(tmp_path / "b", 1)
    with pytest.raises(Refused, match=r"traj_0_to_255\.tfrecords is there twice"):
        plan(tmp_path)


def test_an_empty_source_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no BAIR videos there") as refused:
        plan(tmp_path)
    for words in (ADDRESS, "30 GiB", "softmotion30_44k/{train,test}", "--download"):
        assert words in str(refused.value.hint)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.98])
def test_a_tar_that_is_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    tar = write_bair_tar(tmp_path)
    content = tar.read_bytes()
    tar.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(Refused, match="cut off") as refused:
        plan(tmp_path)
    assert ADDRESS in str(refused.value.hint)


def test_a_tar_with_a_damaged_header_is_refused(tmp_path: Path) -> None:
    tar = write_bair_tar(tmp_path, 1)
    with tarfile.open(tar) as opened:
        at = opened.getmembers()[-1].offset
    content = bytearray(tar.read_bytes())
    content[at + 5] ^= 1
    tar.write_bytes(content)
    with pytest.raises(Refused, match="the tar is damaged at byte"):
        plan(tmp_path)


def test_a_compressed_tar_is_refused(tmp_path: Path) -> None:
    tar = write_bair_tar(tmp_path, 1)
    with tarfile.open(tar, "w:gz") as opened:
        opened.add(Path(__file__), "softmotion30_44k/train/traj_256_to_511.tfrecords")
    with pytest.raises(Refused, match="not a complete, uncompressed tar"):
        plan(tmp_path)


def test_links_and_strange_names_in_a_tar_are_only_looked_at(tmp_path: Path) -> None:
    tar = write_bair_tar(tmp_path / "raw", 1)
    (tmp_path / "inside").write_bytes(framed(encode_example(ONE)))
    with tarfile.open(tar, "a") as opened:
        link = tarfile.TarInfo("train/traj_2048_to_2303.tfrecords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
        opened.add(tmp_path / "inside", "../../test/traj_256_to_511.tfrecords")
    made = plan(tar.parent)
    sources = [task.source for group in made.groups for task in group.tasks]
    assert "train/traj_2048_to_2303.tfrecords" not in sources
    clips, _ = run(made, tmp_path / "out")
    assert str(clips["test/traj_256_to_511/0"]["split"]) == "test"
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "inside", "out"}


def test_the_published_counts_are_named_where_others_are_found(tmp_path: Path) -> None:
    raw = write_bair(tmp_path, 1)
    assert "train has 2 videos, the published train has 43,008" in plan(raw).notes
    assert not any("published" in note for note in plan(raw, limit=1).notes)


def test_the_spec_is_every_setting_but_the_places(tmp_path: Path) -> None:
    made = plan(write_bair(tmp_path, 1))
    names = {field.name for field in dataclasses.fields(BairData)}
    assert set(made.spec) == names - {"source", "clips", "max_failures"}
