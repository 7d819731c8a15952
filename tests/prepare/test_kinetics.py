import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.failure import Refused
from svtcli.prepare.plan import Plan
from svtcli.prepare.sources import make_plan
from svtcli.prepare.sources.annotations import normal
from svtcli.prepare.sources.kinetics import HOLDER, place
from svtcli.prepare.sources.video_file import VideoTask
from svtcli.recipe.data import KineticsData
from svtcli.recipe.labels import label_pattern
from tests.prepare.kinetics_files import clip_name, touch, write_list, youtube_id

DATA = KineticsData(kind="kinetics")
CLASSES = (
    (Path(__file__).parents[1] / "golden/kinetics600_classes.txt")
    .read_text(encoding="utf-8")
    .splitlines()
)
COOKING = [
    *("baking cookies", "barbequing", "breading or breadcrumbing", "chopping meat"),
    *("chopping vegetables", "cooking egg", "cooking on campfire"),
    *("cooking sausages (not on barbeque)", "cooking scallops", "cutting apple"),
    *("cutting nails", "cutting orange", "cutting pineapple", "cutting watermelon"),
    *("eating cake", "flipping pancake", "frying vegetables", "grinding meat"),
    *("making a cake", "making a sandwich", "making pizza", "making sushi"),
    *("making tea", "peeling apples", "peeling potatoes", "picking fruit"),
    *("preparing salad", "scrambling eggs", "separating eggs"),
]


def torchvision(label: str) -> str:
    return label.translate(str.maketrans(" ", "_", "'()"))


def mmaction(label: str) -> str:
    return label.replace(" ", "_")


def tasks_of(plan: Plan) -> dict[str, list[VideoTask]]:
    """By split."""
    tasks: dict[str, list[VideoTask]] = {}
    for group in plan.groups:
        for task in group.tasks:
            assert isinstance(task, VideoTask)
            assert task.split == group.name.split("-")[0]
            tasks.setdefault(task.split, []).append(task)
    return tasks


def labels_of(plan: Plan) -> dict[str, str | None]:
    """By clip id."""
    return {t.id or "": t.label for tasks in tasks_of(plan).values() for t in tasks}


def test_cooking_is_the_29_classes_of_the_paper_in_every_spelling() -> None:
    pattern = label_pattern("cooking", "")
    assert pattern is not None
    assert len(CLASSES) == 600
    for spelled in (str, mmaction, torchvision):
        chosen = [label for label in CLASSES if pattern.match(spelled(label))]
        assert chosen == COOKING


def test_the_600_names_stay_apart_in_every_spelling() -> None:
    assert len({normal(label) for label in CLASSES}) == 600
    assert len({torchvision(label) for label in CLASSES}) == 600
    for spelled in (mmaction, torchvision):
        assert [normal(spelled(c)) for c in CLASSES] == [normal(c) for c in CLASSES]


def test_no_class_name_is_read_as_a_split_or_a_container() -> None:
    for label in CLASSES:
        for spelled in (str, mmaction, torchvision):
            assert place(f"videos_train/{spelled(label)}") == ("train", spelled(label))
            assert not HOLDER.fullmatch(spelled(label).lower())


@pytest.mark.parametrize(
    ("folders", "spelled"),
    [
        ("{split}/{label}", str),
        ("videos_{split}/{label}", mmaction),
        ("{split}/{label}", torchvision),
        ("k600/{split}", str),
        ("k600/{split}/part_0", str),
        ("videos", str),
        ("{label}", mmaction),
    ],
)
def test_every_usual_layout_gives_splits_and_labels(
    tmp_path: Path, folders: str, spelled: type[str]
) -> None:
    label = "cooking sausages (not on barbeque)"
    rows = []
    for number, split in enumerate(("train", "val", "test")):
        folder = folders.format(split=split, label=spelled(label))
        touch(tmp_path, f"{folder}/{clip_name(number)}")
        rows.append(f"{label},{youtube_id(number)},10,20,{split}")
    write_list(tmp_path / "annotations/all.csv", rows)
    plan = make_plan(replace(DATA, source=str(tmp_path)))
    assert {s: [t.id for t in tasks] for s, tasks in tasks_of(plan).items()} == {
        split: [f"{youtube_id(n)}_000010"]
        for n, split in enumerate(("train", "val", "test"))
    }
    assert set(labels_of(plan).values()) == {label}
    counts = {k: plan.findings[k] for k in ("listed", "found", "missing", "unlisted")}
    assert counts == {"listed": 3, "found": 3, "missing": 0, "unlisted": 0}
    assert plan.findings["label_conflicts"] == plan.findings["unlabelled"] == 0


def test_folders_alone_are_enough(tmp_path: Path) -> None:
    touch(tmp_path, f"train/making_tea/{clip_name(1)}", f"validate/{clip_name(2)}")
    plan = make_plan(replace(DATA, source=str(tmp_path)))
    assert labels_of(plan) == {
        f"{youtube_id(1)}_000010": "making tea",
        f"{youtube_id(2)}_000010": None,
    }
    assert (plan.findings["unlisted"], plan.findings["unlabelled"]) == (2, 1)
    assert "no videos for test" in plan.notes


def test_lists_and_files_are_compared(tmp_path: Path) -> None:
    write_list(
        tmp_path / "k600/annotations/kinetics-600_val.csv",
        [
            f"making tea,{youtube_id(1)},10,20,val",  # found
            f"abseiling,{youtube_id(2)},10,20,val",  # no file
            f"abseiling,{youtube_id(3)},10,20,val",  # two segments of one video
            f"yoga,{youtube_id(3)},50,60,val",
            f"yoga,{youtube_id(4)},10,20,val",  # the folder says something else
            f"yoga,{youtube_id(5)},10,20,val",  # the file has another start
            f"yoga,{youtube_id(6)},33,43,val",  # the file has no start
            f"making tea,{youtube_id(1)},10,20,val",  # the same row again
            f"abseiling,{youtube_id(1)},10,20,val",  # a contradiction
        ],
    )
    touch(
        tmp_path / "k600/val",
        clip_name(1),
        clip_name(1, ending="webm"),
        clip_name(3, 50),
        f"making tea/{clip_name(4)}",
        clip_name(5, 12),
        f"{youtube_id(6)}.mp4",
        clip_name(7),
        clip_name(3, 99),
        "holiday.mp4",
    )
    plan = make_plan(replace(DATA, source=str(tmp_path)))
    assert labels_of(plan) == {
        f"{youtube_id(1)}_000010": "making tea",
        f"{youtube_id(3)}_000050": "yoga",
        f"{youtube_id(4)}_000010": "yoga",
        f"{youtube_id(5)}_000012": "yoga",
        f"{youtube_id(6)}_000033": "yoga",
        f"{youtube_id(7)}_000010": None,
        f"{youtube_id(3)}_000099": None,
        "k600/val/holiday.mp4": None,
    }
    expected = {
        "listed": 7,
        "found": 5,
        "missing": 2,
        "missing_by_class": {"abseiling": 2},
        "unlisted": 3,
        "without_split": 0,
        "label_conflicts": 1,
        "duplicates": 1,
        "unlabelled": 3,
        "list_contradictions": 1,
    }
    assert {key: plan.findings[key] for key in expected} == expected
    assert plan.notes[0].startswith(
        "kinetics: 7 listed, 5 found, 2 missing, 3 unlisted"
    )


def test_a_list_of_paths_beside_label_folders_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, f"train/making tea/{clip_name(1)}", "readme.txt")
    paths = [f"/data/train/making tea/{clip_name(1)} 0"]
    write_list(tmp_path / "train.csv", paths, header=None)
    plan = make_plan(replace(DATA, source=str(tmp_path)))
    assert labels_of(plan) == {f"{youtube_id(1)}_000010": "making tea"}
    assert "passed over, as they are no lists of clips: train.csv" in plan.notes
    assert "passed over: 1 text file" in plan.notes
    assert plan.findings["no_lists"] == ["train.csv"]
    (tmp_path / "train").rename(tmp_path / "videos")
    with pytest.raises(Refused, match=r"to splits; passed over, .*: train\.csv"):
        make_plan(replace(DATA, source=str(tmp_path)))


@pytest.mark.parametrize("times", ["10_20", "000010_000020", "0010_0020"])
def test_times_in_a_name_need_no_padding(tmp_path: Path, times: str) -> None:
    touch(tmp_path, f"train/x/{youtube_id(1)}_{times}.mp4")
    rows = [f"making tea,{youtube_id(1)},{start},20,train" for start in (10, 30)]
    write_list(tmp_path / "train.csv", rows)
    plan = make_plan(replace(DATA, source=str(tmp_path)))
    assert labels_of(plan) == {f"{youtube_id(1)}_000010": "making tea"}


def test_the_first_of_two_files_of_a_clip_is_used(tmp_path: Path) -> None:
    touch(tmp_path, *(f"val/{folder}/{clip_name(1)}" for folder in "ba"))
    tasks = tasks_of(make_plan(replace(DATA, source=str(tmp_path))))
    assert [task.source for task in tasks["val"]] == [f"val/a/{clip_name(1)}"]


def test_a_subset_leaves_out_other_and_missing_classes(tmp_path: Path) -> None:
    touch(tmp_path, f"train/making tea/{clip_name(1)}", f"train/yoga/{clip_name(2)}")
    touch(tmp_path, f"train/peeling_apples/{clip_name(3)}", f"test/{clip_name(4)}")
    data = replace(DATA, source=str(tmp_path), subset="cooking")
    plan = make_plan(data)
    assert set(labels_of(plan).values()) == {"making tea", "peeling apples"}
    assert "left out: 1 without label" in plan.notes
    assert "4 videos, 2 match 'cooking'" in plan.notes
    by_hand = make_plan(replace(data, subset=None, match="yoga|peel"))
    assert set(labels_of(by_hand).values()) == {"yoga", "peeling apples"}
    with pytest.raises(Refused, match="whose class matches 'tango'; the source holds"):
        make_plan(replace(data, subset=None, match="tango"))


def test_missing_clips_of_other_splits_and_classes_do_not_count(tmp_path: Path) -> None:
    touch(tmp_path, f"val/making tea/{clip_name(1)}")
    rows = [f"{c},{youtube_id(i)},1,11" for i, c in enumerate(CLASSES[:50], 100)]
    write_list(tmp_path / "train.csv", rows, "label,youtube_id,time_start,time_end")
    write_list(tmp_path / "val.csv", [f"making tea,{youtube_id(1)},10,20,validate"])
    plan = make_plan(replace(DATA, source=str(tmp_path), splits=("val",)))
    assert (plan.findings["listed"], plan.findings["missing"]) == (1, 0)
    every = make_plan(replace(DATA, source=str(tmp_path)))
    assert (every.findings["listed"], every.findings["missing"]) == (51, 50)
    assert len(every.findings["missing_by_class"]) == 50


def test_a_limit_draws_some_of_each_split(tmp_path: Path) -> None:
    for split in ("train", "val"):
        touch(
            tmp_path / split, *(clip_name(i + 50 * (split == "val")) for i in range(50))
        )
    data = replace(DATA, source=str(tmp_path), limit=5)
    drawn = [
        {split: [task.id for task in tasks] for split, tasks in tasks_of(plan).items()}
        for plan in (make_plan(data), make_plan(replace(data, seed=1)))
    ]
    assert [len(ids) for ids in drawn[0].values()] == [5, 5]
    assert drawn[0] != drawn[1]
    whole = tasks_of(make_plan(replace(data, limit=None)))
    assert [task.id for task in whole["train"]][:5] == drawn[0]["train"]


def test_shards_are_fixed_by_names_alone(tmp_path: Path) -> None:
    touch(tmp_path / "train", *(clip_name(i) for i in range(300)))
    data = replace(DATA, source=str(tmp_path))
    plan = make_plan(data)
    assert [len(group.tasks) for group in plan.groups] == [7] * 42 + [6]
    assert plan.groups[1].name == "train-00001-of-00043"
    (tmp_path / "train" / clip_name(7)).write_bytes(b"repaired")
    again = make_plan(data)
    assert again.order == plan.order
    assert again.inventory != plan.inventory
    whole = make_plan(replace(data, frames="all", window="all"))
    assert len(whole.groups) == 43


@pytest.mark.parametrize("ending", ["tar.gz", "tar", "zip"])
def test_archives_are_unpacked_by_the_command_that_is_told(
    tmp_path: Path, ending: str
) -> None:
    source, whole = tmp_path / "it's k600", touch(tmp_path / "whole", clip_name(1))
    packed = source / "k600_targz/train/part_0"
    packed.parent.mkdir(parents=True)
    kind = {"tar.gz": "gztar"}.get(ending, ending)
    shutil.make_archive(str(packed), kind, whole)
    write_list(source / "train.csv", [f"making tea,{youtube_id(1)},10,20,train"])
    data = replace(DATA, source=str(source))
    with pytest.raises(Refused) as caught:
        make_plan(data)
    assert f"still packed: k600_targz/train/part_0.{ending}" in str(caught.value)
    command, _, then = str(caught.value.hint).partition(", then: --source ")
    if ending == "zip" and shutil.which("unzip") is None:
        return
    subprocess.run(command.removeprefix("unpack them: "), shell=True, check=True)
    assert shlex.split(then) == [str(source)]
    assert labels_of(make_plan(data)) == {f"{youtube_id(1)}_000010": "making tea"}


def test_a_source_without_splits_is_refused_with_the_layouts(tmp_path: Path) -> None:
    touch(tmp_path, clip_name(1))
    data = replace(DATA, source=str(tmp_path))
    with pytest.raises(Refused, match="assigns its 1 video") as caught:
        make_plan(data)
    assert "videos_train/LABEL/FILE" in str(caught.value.hint)
    write_list(tmp_path / "train.csv", [f"yoga,{youtube_id(2)},10,20,train"])
    touch(tmp_path, clip_name(2))
    plan = make_plan(data)
    assert (plan.findings["without_split"], plan.units) == (1, 1)


def test_an_empty_source_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no videos there") as caught:
        make_plan(replace(DATA, source=str(tmp_path)))
    assert "github.com/cvdfoundation/kinetics-dataset" in str(caught.value.hint)
    with pytest.raises(Refused, match="no source for kinetics"):
        make_plan(replace(DATA, source=str(tmp_path / "absent")))


def test_fields_of_a_list_never_become_paths(tmp_path: Path) -> None:
    secret = touch(tmp_path / "secret", "private.mp4") / "private.mp4"
    rows = [
        f"../../x,{secret.with_suffix('')},10,20,train",
        "y,../secret/private,,,val",
    ]
    write_list(tmp_path / "source/train.csv", rows)
    touch(tmp_path / "source/train", clip_name(1))
    plan = make_plan(replace(DATA, source=str(tmp_path / "source")))
    assert [task.source for task in tasks_of(plan)["train"]] == [
        f"train/{clip_name(1)}"
    ]
    assert plan.findings["missing"] == 2
