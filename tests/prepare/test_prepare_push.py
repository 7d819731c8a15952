"""Pushing through the whole stage: engines and stops change no byte."""

import sys
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import ClipFacts, read_manifest
from svtcli.clips.reader import open_clips
from svtcli.clips.verify import verify
from svtcli.failure import Refused
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.sources.push import PushTask, simulated
from svtcli.prepare.stage import prepare
from svtcli.recipe.data import PushData
from svtcli.run.progress import Silent
from svtcli.run.signals import Stopped
from tests.prepare.test_prepare import Interrupted, contents

DATA = PushData("push", size=16, frames=2, train=3, val=1, test=2)
ONE = PrepareOptions(workers=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("push") / "clips"
    prepare(DATA, folder, Silent(), ONE)
    return folder


def test_clips_actions_and_states_are_those_of_the_simulation(whole: Path) -> None:
    sizes = {"train": 3, "val": 1, "test-seen": 2, "test-novel": 2}
    assert verify(whole, Silent()) == sum(sizes.values())
    assert read_manifest(whole).pixels.startswith("simulated and drawn by MuJoCo ")
    for split, count in sizes.items():
        clips = open_clips(whole, split)
        assert (len(clips), clips.shape, clips.action_size) == (count, (16, 16, 3), 2)
        last = count - 1
        wanted = simulated(DATA, split, last, ClipFacts("", ""))
        np.testing.assert_array_equal(clips.read(last), wanted.pixels)
        actions = wanted.beside["actions"].astype(np.float32)
        np.testing.assert_array_equal(clips.actions(last, 0, 2), actions)


def test_an_interrupted_run_resumes_to_the_same_bytes(
    whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped, match="of 4 shards are finished"):
        prepare(DATA, tmp_path / "out", Interrupted(after=4), ONE)
    prepare(DATA, tmp_path / "out", Silent(), PrepareOptions(workers=2))
    assert contents(tmp_path / "out") == contents(whole)


@pytest.mark.slow
def test_ray_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    options = PrepareOptions(workers=2, engine="ray")
    prepare(DATA, tmp_path / "out", Silent(), options)
    assert contents(tmp_path / "out") == contents(whole)


def test_without_mujoco_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(Refused, match="not installed") as refused:
        prepare(DATA, tmp_path / "out", Silent(), ONE)
    assert "[sim]" in (refused.value.hint or "")
    assert not (tmp_path / "out").exists()


def test_a_machine_with_another_mujoco_is_refused(tmp_path: Path) -> None:
    task = PushTask(DATA, "train", 0, 1, mujoco="3.0.0")
    with pytest.raises(
        Refused, match=r"MuJoCo 4.* on .*, 3\.0\.0 where push was begun"
    ):
        task.run(tmp_path / "frames")
    assert not list(tmp_path.iterdir())
