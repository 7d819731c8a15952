"""Arrays as a source: each format, layout and type; what is refused, and how."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from svtcli.failure import BadData, Failure, Refused
from svtcli.prepare.sources import make_plan
from svtcli.recipe.setting import Misfit
from svtcli.video.resize import Resizer
from tests.prepare.array_files import (
    ACTIONS,
    LABEL,
    STATES,
    SUFFIXES,
    VIDEO,
    data,
    run,
    save,
)

WHOLE = {"frames": VIDEO, "actions": ACTIONS, "states": STATES, "label": LABEL}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_clips(tmp_path: Path, suffix: str) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    path = save(tmp_path / f"x{suffix}", **WHOLE)
    clips, failures = run(data(path), tmp_path / "run")
    assert not failures
    assert list(clips) == [f"{path.name}#{n}" for n in range(4)]
    for number, clip in enumerate(clips.values()):
        np.testing.assert_array_equal(clip["frames"], VIDEO[number])
        np.testing.assert_array_equal(clip["actions"], ACTIONS[number])
        np.testing.assert_array_equal(clip["states"], STATES[number])
        assert clip["facts"].label == str(LABEL[number])
        assert (clip["facts"].width, clip["facts"].height) == (8, 8)


@pytest.mark.parametrize("layout", ["NTCHW", "NCTHW", "TNHWC", "TNCHW"])
def test_every_layout_gives_the_same_clips(tmp_path: Path, layout: str) -> None:
    order = ["NTHWC".index(axis) for axis in layout]
    arrays = {"frames": VIDEO.transpose(order), "actions": ACTIONS}
    if layout.startswith("T"):
        arrays["actions"] = ACTIONS.swapaxes(0, 1)
    path = save(tmp_path / "x.npz", **arrays)
    clips, _ = run(data(path, layout=layout), tmp_path / "run")
    for number, clip in enumerate(clips.values()):
        np.testing.assert_array_equal(clip["frames"], VIDEO[number])
        np.testing.assert_array_equal(clip["actions"], ACTIONS[number])


@pytest.mark.parametrize("layout", ["THWC", "TCHW", "CTHW"])
def test_a_file_may_be_one_clip(tmp_path: Path, layout: str) -> None:
    order = ["THWC".index(axis) for axis in layout]
    for number, video in enumerate(VIDEO):
        path = tmp_path / f"in/{'ab'[number % 2]}/{number}.npz"
        save(path, frames=video.transpose(order), actions=ACTIONS[number])
    clips, _ = run(data(tmp_path / "in", layout=layout), tmp_path / "run")
    assert set(clips) == {"a/0.npz", "b/1.npz", "a/2.npz", "b/3.npz"}
    np.testing.assert_array_equal(clips["b/3.npz"]["frames"], VIDEO[3])
    np.testing.assert_array_equal(clips["b/3.npz"]["actions"], ACTIONS[3])
    assert clips["b/3.npz"]["facts"].label == "b"


@pytest.mark.parametrize("layout", ["NTHW", "TNHW", "THW"])
def test_gray_becomes_rgb_or_stays_gray(tmp_path: Path, layout: str) -> None:
    gray = VIDEO[..., 0]
    stored = {"NTHW": gray, "TNHW": gray.swapaxes(0, 1), "THW": gray[0]}[layout]
    path = save(tmp_path / "x.npy", frames=stored)
    for settings, channels in (({}, 3), ({"gray": True}, 1)):
        place = tmp_path / f"run{channels}"
        clips, _ = run(data(path, layout=layout, **settings), place)
        first = next(iter(clips.values()))["frames"]
        wanted = np.broadcast_to(gray[0][..., None], (5, 8, 8, channels))
        np.testing.assert_array_equal(first, wanted)


@pytest.mark.parametrize(
    ("dtype", "stated"),
    [
        *[(kind, "0..1") for kind in ("float16", "float32", "float64", ">f4")],
        *[("float32", "-1..1"), ("float32", "0..255"), ("int64", "0..255")],
        *[("uint16", "0..255"), ("uint8", "0..255")],
    ],
)
def test_every_type_gives_the_same_clips(
    tmp_path: Path, dtype: str, stated: str
) -> None:
    scaled = {"0..1": VIDEO / 255, "-1..1": VIDEO / 127.5 - 1, "0..255": VIDEO}
    path = save(tmp_path / "x.npz", frames=scaled[stated].astype(dtype))
    clips, _ = run(data(path, range=stated), tmp_path / "run")
    for number, clip in enumerate(clips.values()):
        np.testing.assert_array_equal(clip["frames"], VIDEO[number])


def test_bfloat16_and_booleans(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    black = VIDEO > 127
    for number, array in enumerate((black, black.astype(ml_dtypes.bfloat16))):
        path = save(tmp_path / f"{number}.safetensors", frames=array)
        clips, _ = run(data(path, range="0..1"), tmp_path / f"run{number}")
        frames = clips[f"{number}.safetensors#2"]["frames"]
        np.testing.assert_array_equal(frames, 255 * black[2])


def test_other_sizes_are_cropped_and_resized_as_video_is(tmp_path: Path) -> None:
    large = np.repeat(np.repeat(VIDEO, 4, 2), 5, 3)
    path = save(tmp_path / "x.npy", frames=large)
    clips, _ = run(data(path), tmp_path / "run")
    small = clips["x.npy#0"]["frames"]
    resizer = Resizer(8)
    np.testing.assert_array_equal(small[0], resizer.array(large[0, 0, :, 4:36]))
    assert abs(small.mean() - VIDEO[0].mean()) < 10


def test_clips_are_cut_with_their_actions(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz", frames=VIDEO, actions=ACTIONS)
    clips, failures = run(data(path, frames=2), tmp_path / "run")
    assert not failures
    assert list(clips)[:2] == ["x.npz#0@0", "x.npz#0@2"]
    np.testing.assert_array_equal(clips["x.npz#3@2"]["frames"], VIDEO[3, 2:4])
    np.testing.assert_array_equal(clips["x.npz#3@2"]["actions"], ACTIONS[3, 2:4])
    clips, _ = run(data(path, frames=3, window="center"), tmp_path / "center")
    np.testing.assert_array_equal(clips["x.npz#1@1"]["actions"], ACTIONS[1, 1:4])
    _, failures = run(data(path, frames=6), tmp_path / "long")
    assert {(each.item, each.reason) for each in failures} == {
        (f"x.npz#{n}", "too-short") for n in range(4)
    }


def test_splits_by_clip_by_time_and_by_name(tmp_path: Path) -> None:
    path = save(tmp_path / "in/train.npz", frames=VIDEO)
    shares = {"val": 0.25, "test": 0.25}
    clips, _ = run(data(path, **shares), tmp_path / "1")
    by_split = Counter(clip["split"] for clip in clips.values())
    assert by_split == {"train": 2, "val": 1, "test": 1}
    clips, _ = run(data(path, split="time", test=0.4), tmp_path / "2")
    np.testing.assert_array_equal(clips["train.npz#1@3"]["frames"], VIDEO[1, 3:])
    assert clips["train.npz#1@3"]["split"] == "test"
    save(tmp_path / "in/test/x.npz", frames=VIDEO[:1])
    with pytest.raises(Refused, match=r"state their split: test/x.npz, train.npz"):
        make_plan(data(tmp_path / "in"))
    clips, _ = run(data(tmp_path / "in", split="name", test=0.1), tmp_path / "3")
    assert {clip["split"] for clip in clips.values()} == {"train", "test"}
    assert clips["test/x.npz#0"]["split"] == "test"
    assert clips["test/x.npz#0"]["facts"].label is None
    clips, _ = run(data(tmp_path / "in", split="clip"), tmp_path / "4")
    assert {clip["split"] for clip in clips.values()} == {"train"}
    with pytest.raises(Misfit, match="val: is not used where names state"):
        data(tmp_path / "in", split="name", val=0.1)
    save(tmp_path / "in/more.npz", frames=VIDEO)
    with pytest.raises(Refused, match=r"more.npz: its name states no split"):
        make_plan(data(tmp_path / "in", split="name", test=0.1))


def test_a_limit_and_tasks_do_not_change_the_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "x.npz", **WHOLE)
    whole, _ = run(data(path), tmp_path / "1")
    monkeypatch.setattr("svtcli.prepare.sources.arrays.TASK_CLIPS", 1)
    plan = make_plan(data(path))
    sources = [task.source for group in plan.groups for task in group.tasks]
    assert sources == [f"x.npz[{n}..{n}]" for n in range(4)]
    clips, _ = run(data(path), tmp_path / "2")
    assert list(clips) == list(whole)
    few, _ = run(data(path, limit=2), tmp_path / "3")
    assert len(few) == 2
    for name, clip in few.items():
        np.testing.assert_array_equal(clip["frames"], whole[name]["frames"])


def test_wrong_numbers_name_file_clip_and_frame(tmp_path: Path) -> None:
    numbers = VIDEO / 255
    numbers[1, 3, 0, 0, 0], numbers[2, 4, 7, 7, 2] = np.nan, 1.1
    actions = ACTIONS.copy()
    actions[3, 2] = np.inf
    path = save(tmp_path / "x.npz", frames=numbers, actions=actions)
    clips, failures = run(data(path, range="0..1"), tmp_path / "run")
    assert [(each.item, each.reason, each.detail) for each in failures] == [
        ("x.npz#1", "values", "frame 3: nan is not a number"),
        ("x.npz#2", "values", "frame 4: 1.1 is outside of 0..1"),
        ("x.npz#3", "values", "actions of frame 2 are not finite"),
    ]
    np.testing.assert_array_equal(clips["x.npz#0"]["frames"], VIDEO[0])


def test_a_broken_file_among_whole_ones_is_a_failure(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / f"in/{name}.npz", frames=VIDEO, actions=ACTIONS)
    save(tmp_path / "in/d.npz", frames=VIDEO)
    save(tmp_path / "in/e.npz", frames=VIDEO, actions=ACTIONS[..., :1])
    save(tmp_path / "in/f.npz", frames=VIDEO[0])
    (tmp_path / "in/g.npz").write_bytes((tmp_path / "in/a.npz").read_bytes()[:900])
    clips, failures = run(data(tmp_path / "in"), tmp_path / "run")
    assert len(clips) == 12
    before = make_plan(data(tmp_path / "in")).order
    for name in "defg":
        save(tmp_path / f"in/{name}.npz", frames=VIDEO, actions=ACTIONS)
    assert make_plan(data(tmp_path / "in")).order == before
    found = {each.source: (each.reason, each.detail) for each in failures}
    assert found.pop("f.npz")[0] == "layout"
    assert found == {
        "d.npz": ("action-missing", "has no actions, as other files have"),
        "e.npz": ("layout", "has 1 numbers of actions, and most files 2"),
        "g.npz": ("open", "not a whole .npz (File is not a zip file)"),
    }


@pytest.mark.parametrize(
    ("arrays", "settings", "said"),
    [
        ({"frames": VIDEO[0]}, {}, r"no array with the axes NTHWC; .*\[5, 8, 8, 3\]"),
        ({"frames": VIDEO[..., :2]}, {}, "thus 2 channels by .N, T, H, W, C"),
        ({"frames": VIDEO}, {"layout": "NTCHW"}, "thus 8 channels"),
        ({"frames": VIDEO / 255}, {}, "its numbers are float64, not uint8"),
        ({"frames": VIDEO.astype("c8")}, {}, "which is no type of pixels"),
        ({"frames": VIDEO[:0]}, {}, "holds no pixels"),
        ({"frames": VIDEO}, {"gray": True}, "has colours"),
        ({"a": VIDEO, "b": VIDEO}, {}, "several arrays that may be frames: a .*, b "),
        ({"a": VIDEO}, {"frames_key": "b"}, "holds no array 'b' of frames"),
        ({"a": VIDEO, "actions": ACTIONS[:, 1:]}, {}, "thus 4 clips of 4 frames"),
        ({"a": VIDEO, "states": STATES[1:]}, {}, "thus 3 clips of 5 frames"),
        ({"a": VIDEO, "actions": LABEL}, {}, r"expected \[N, T, A\]"),
        ({"a": VIDEO, "label": LABEL[1:]}, {}, r"one label for each clip \(4\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict, settings: dict, said: str
) -> None:
    path = save(tmp_path / "x.npz", **arrays)
    with pytest.raises(Refused, match=said) as refused:
        make_plan(data(path, **settings))
    assert str(refused.value).startswith(str(path))


def test_pickles_and_damaged_files_are_never_read(tmp_path: Path) -> None:
    objects = np.array([{}], object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "b.npz", frames=objects)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(VIDEO))
    for name, part in (("d.npy", -1), ("e.npz", -1), ("f.safetensors", -1)):
        path = save(tmp_path / name, frames=VIDEO)
        path.write_bytes(path.read_bytes()[:part])
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(Failure) as failure:
            make_plan(data(path))
        assert str(failure.value).startswith(str(path))
        assert "\n" not in str(failure.value)


def test_an_archive_that_claims_more_than_it_holds_is_not_unpacked(
    tmp_path: Path,
) -> None:
    path = save(tmp_path / "x.npz", frames=VIDEO)
    # Of the array's header, not of the archive's.
    claims = path.read_bytes().replace(b"(4, 5, 8, 8, 3)", b"(9, 5, 8, 8, 3)")
    path.write_bytes(claims)
    with pytest.raises(BadData, match=r"bytes|CRC"):
        make_plan(data(path))


def test_damage_within_a_packed_array_is_found(tmp_path: Path) -> None:
    path = save(tmp_path / "x.packed.npz", frames=np.tile(VIDEO, (1, 9, 1, 1, 1)))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    path.write_bytes(damaged)
    clips, failures = run(data(path), tmp_path / "run")
    assert not clips
    assert [(each.reason, each.lost) for each in failures] == [("open", 4)]
    assert [file.name for file in (tmp_path / "run").iterdir()] == []


def test_hdf5_reads_no_other_file_and_no_numbers_that_are_not_there(
    tmp_path: Path,
) -> None:
    h5py = pytest.importorskip("h5py")
    save(tmp_path / "whole.h5", frames=VIDEO)
    shape = {"shape": VIDEO.shape, "dtype": "u1"}
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["frames"] = h5py.ExternalLink("whole.h5", "frames")
    with h5py.File(tmp_path / "external.h5", "w") as file:
        secret = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("frames", external=secret, **shape)
    with h5py.File(tmp_path / "chunks.h5", "w") as file:
        file.create_dataset("frames", chunks=(1, 5, 8, 8, 3), **shape)[0] = 1
    with h5py.File(tmp_path / "unwritten.h5", "w") as file:
        file.create_dataset("frames", shape=(10**9, 5, 8, 8, 3), dtype="u1")
    for name, said in (
        ("link", "no array with the axes NTHWC; its arrays: none"),
        ("external", "its numbers are in other files"),
        ("chunks", "only 1 of its 4 chunks were written"),
        ("unwritten", "its numbers were not written"),
    ):
        with pytest.raises(Failure, match=said):
            make_plan(data(tmp_path / f"{name}.h5"))


def test_hdf5_without_h5py_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "x.h5").write_bytes(b"x")
    with pytest.raises(Refused, match="need h5py, which is not installed") as refused:
        make_plan(data(tmp_path / "x.h5"))
    assert "pip install h5py" in (refused.value.hint or "")


@pytest.mark.parametrize("suffix", [".npz", ".packed.npz", ".h5"])
def test_a_file_may_hold_clips_of_different_lengths(
    tmp_path: Path, suffix: str
) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    arrays = {"data/meta": np.arange(3)}
    for number in range(3):
        arrays[f"data/demo_{number}/image"] = VIDEO[number, number:]
        arrays[f"data/demo_{number}/actions"] = ACTIONS[number, number:]
    arrays["data/demo_9/image"] = VIDEO[0]
    path = save(tmp_path / f"x{suffix}", **arrays)
    keys = {"frames_key": "data/*/image", "action_key": "data/*/actions"}
    clips, failures = run(data(path, layout="THWC", **keys), tmp_path / "run")
    for number in range(3):
        clip = clips.pop(f"{path.name}:data/demo_{number}/image")
        np.testing.assert_array_equal(clip["frames"], VIDEO[number, number:])
        np.testing.assert_array_equal(clip["actions"], ACTIONS[number, number:])
    assert not clips
    assert [(each.source, each.reason) for each in failures] == [
        (f"{path.name}:data/demo_9/image", "action-missing")
    ]


def test_objects_beside_the_frames_do_no_harm(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz", frames=VIDEO, info=np.array([{}], object))
    assert len(run(data(path), tmp_path / "run")[0]) == 4


def test_arrays_in_fortran_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "x.npy", frames=np.asfortranarray(VIDEO))
    clips, _ = run(data(path), tmp_path / "run")
    np.testing.assert_array_equal(clips["x.npy#3"]["frames"], VIDEO[3])
    monkeypatch.setattr("svtcli.video.array_files.LARGEST_FORTRAN", 1000)
    with pytest.raises(BadData, match=r"3,840 bytes are in Fortran order"):
        make_plan(data(path))
