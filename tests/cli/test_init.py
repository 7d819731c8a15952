"""`svt init`: from a folder of videos to a recipe that svt takes."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from svtcli.failure import Refused
from svtcli.prepare.contents import Contents, look
from svtcli.prepare.sources import make_plan
from svtcli.project import estimate, init
from svtcli.recipe.data import FolderData
from svtcli.recipe.load import load_recipe
from svtcli.run.progress import Silent
from svtcli.video.decode import VideoFacts
from tests.cli.terminal import svt_here
from tests.trained_place import noise, write_clips
from tests.video.video_files import moving_square, write_video


@pytest.fixture
def place(tmp_path):
    for name, frames in (("a", 60), ("b c", 80), ("ü#", 70)):
        write_video(tmp_path / f"own/{name}.mp4", moving_square(frames, 40, 32))
    return tmp_path


def test_the_recipe_fits_and_its_clips_are_as_many_as_promised(place, here):
    (place / "own/empty.mp4").touch()
    said = here("init", "mine.yaml", "--source", "own", "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert "\nempty.mp4: open: not a video" in said.err
    assert "4 videos (1 cannot be read), 40 x 32, 6 to 8 s" in told["source"]
    assert 0 < told["seconds"]["sampling"] < told["seconds"]["training"]
    text = (place / "mine.yaml").read_text()
    data = yaml.safe_load(text)["data"]
    assert (data["source"], data["size"], data["split"]) == ("own", 32, "time")
    assert here("recipes", "check", "mine.yaml").out == "mine.yaml: ok\n"
    assert told["clips"] == counted_clips(load_recipe("mine.yaml").recipe.data, place)


def counted_clips(data: FolderData, aside: Path) -> Counter[str]:
    """Number of clips of each split that preparing the videos gives."""
    tasks = [task for group in make_plan(data).groups for task in group.tasks]
    outcomes = [task.run(aside / f"{n}.frames") for n, task in enumerate(tasks)]
    return Counter(cut.split for each in outcomes for cut in each.cuts)


def test_prepared_clips_stay_where_they_are(place, here):
    write_clips(
        place / "clips/own",
        {"train": noise((16,) * 9, 0, 16), "test": noise((16,) * 3, 1, 16)},
        {"kind": "folder", "size": 16, "frames": 16},
    )
    said = here("init", "again.yaml", "--source", "clips/own")
    assert "prepared clips (9 train, 3 test), 16 x 16, 16 frames" in said.out
    data = load_recipe("again.yaml").recipe.data
    assert (data.clips, data.source, data.size) == ("clips/own", None, 16)
    assert here("recipes", "check", "again.yaml").code == 0


def test_arrays_give_their_actions_to_the_model(place, here):
    frames = np.zeros((40, 8, 20, 20, 3), np.uint8)
    actions = np.zeros((40, 8, 2), np.float32)
    np.savez(place / "robot.npz", frames=frames, actions=actions)
    assert here("init", "robot.yaml", "--source", "robot.npz").code == 0
    recipe = yaml.safe_load((place / "robot.yaml").read_text())
    assert recipe["model"]["actions"] == 2
    assert recipe["model"]["video"] == [4, 16, 16]
    assert recipe["data"]["split"] == "clip"
    assert here("recipes", "check", "robot.yaml").code == 0


def test_a_file_is_taken_by_its_name(place, here):
    said = here("init", "mine.yaml", "--source", "own/b c.mp4")
    assert said.code == 0
    assert "3 videos, 1 matches '^b\\ c" in said.err
    assert here("init", "all.yaml", "--source", "own", "-n").code == 0
    assert not (place / "all.yaml").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["mine.yaml", "--source", "empty"], 2, "empty: no videos there"),
        (["mine.yaml", "--source", "none"], 2, "none does not exist"),
        (["mine.yaml", "--source", "text"], 2, "passed over: 1 text file"),
        (["mine.yaml", "--source", "broken"], 65, "none of 2 videos can be read"),
        (["mine.yaml", "--source", "short"], 2, "too short, or too few"),
        (["mine.yaml", "--source", ""], 2, "--source: names no folder"),
        (["mine.yaml", "--source", "floats.npy"], 2, "svt init takes bytes"),
        (["mine.yaml"], 2, "Missing option '--source'"),
        (["mine", "--source", "own"], 2, "name it mine.yaml"),
        (["my own.yaml", "--source", "own"], 2, "'my own' cannot name a run"),
        (["old.yaml", "--source", "none"], 2, "--force overwrites it"),
        (["folder.yaml", "--source", "own", "--force"], 2, "is a folder"),
    ],
)
def test_what_is_refused_writes_nothing(place, here, words, code, sentence):
    for folder in ("empty", "text", "broken", "short", "folder.yaml"):
        (place / folder).mkdir()
    (place / "text/a.txt").write_text("no video")
    for name in ("a.mp4", "b.mp4"):
        (place / "broken" / name).write_bytes(b"no video")
    write_video(place / "short/a.mp4", moving_square(5))
    np.save(place / "floats.npy", np.zeros((2, 3, 20, 16, 16), np.float32))
    (place / "old.yaml").write_text("precious")
    said = here("init", *words)
    assert said.code == code
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert [path.name for path in place.rglob("*.yaml") if path.is_file()] == [
        "old.yaml"
    ]
    assert (place / "old.yaml").read_text() == "precious"


def test_a_name_that_no_recipe_can_hold_is_refused():
    with pytest.raises(Refused, match="not a name in UTF-8"):
        look("bad\udcff", Silent())


def made_up(*videos: tuple[int, int | None], times: int = 1) -> Contents:
    """Contents of videos with these numbers of frames and rates."""
    facts = [
        VideoFacts(640, 360, fps and float(fps), "h264", n) for n, fps in videos
    ] * times
    named = tuple((f"{number}.mp4", each) for number, each in enumerate(facts))
    return Contents({"kind": "folder", "source": "own"}, "videos", 360, named)


@pytest.mark.parametrize(
    ("contents", "frames", "fps", "split"),
    [
        (made_up((600, 30), times=24), 16, 10, "video"),  # plenty: more happens
        (made_up((60, 30), times=24), 16, None, "video"),  # few: every frame
        (made_up((300, 30), (300, 60), times=2), 16, 45, "time"),  # one rate for all
        (made_up((300, None), times=3), 16, None, "time"),  # pictures
        (made_up((20, 25), times=5), 16, None, "video"),  # the end of one is no clip
        (made_up((40, 25)), 12, None, "time"),  # a shorter clip can be held out
    ],
)
def test_clips_are_as_long_and_as_many_as_the_videos_allow(
    contents, frames, fps, split
):
    choice = init.choose_clips(contents)
    assert (choice.frames, choice.fps, choice.split) == (frames, fps, split)
    assert min(choice.clips.values()) > 0


@pytest.mark.parametrize("kind", ["NVIDIA H200", "cpu", "an unknown one"])
def test_the_batch_is_divided_evenly_among_the_devices_here(kind, monkeypatch):
    platform = "cpu" if kind == "cpu" else "gpu"
    found = [SimpleNamespace(device_kind=kind, platform=platform)] * 3
    for module in (init, estimate):
        monkeypatch.setattr(module, "devices", lambda find: found)
    made = init.new_recipe(made_up((600, 30), (9, 30), times=10), "mine")
    assert made.recipe.train.batch == (3 if kind == "cpu" else 15)
    assert (made.seconds["training"] is None) is (kind == "an unknown one")
    assert made.notes == ("10 of 20 videos are too short for a clip of 16 frames",)
    assert made.device == f"3 x {kind}"


def test_videos_whose_headers_state_no_length_are_counted(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_square(30))
    raw = write_video(tmp_path / "b.h264", moving_square(20))
    assert [n.frames for _, n in look(str(tmp_path), Silent()).videos] == [30, 20]
    assert raw.exists()


def test_of_many_videos_some_are_looked_at(place, monkeypatch):
    monkeypatch.setattr("svtcli.prepare.contents.MOST_HEADERS", 2)
    found = look(str(place / "own"), Silent())
    assert found.told.startswith("3 videos (2 looked at), 40 x 32")
    assert (found.scale, [name for name, _ in found.videos]) == (
        1.5,
        ["a.mp4", "ü#.mp4"],
    )


def test_a_filter_says_how_many_of_how_many_it_takes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("bunny", *range(11)):
        (tmp_path / f"{name}.mp4").touch()
    data = FolderData("folder", source=str(tmp_path))
    assert make_plan(data).notes == ()
    few = replace(data, match="bikes|bunny", split="time")
    counts = "12 videos, 1 matches 'bikes|bunny'; data.match= takes all"
    assert make_plan(few).notes == (counts,)
    source = f"data.source={tmp_path}", "data.match=bikes|bunny"
    said = svt_here(capfd, "run", "quickstart", *source, "--to", "prepare", "-n")
    assert said.code == 0
    assert said.err == f"{counts}\n"
