"""Clips of one video, run as a worker would, but in this process."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from svtcli.prepare.plan import Outcome, Promise
from svtcli.prepare.sources.source_folder import Video
from svtcli.prepare.sources.video_file import Cutting, TimeSplit, VideoTask
from svtcli.recipe.data import Window
from svtcli.video import decode as module
from svtcli.video.decode import decode
from tests.video.video_files import counting, write_video

ALL = Cutting(size=8)
FIVE = Cutting(size=8, frames=5, window="center")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Video:
    """20 frames whose brightness counts up, at 10 a second."""
    folder = tmp_path_factory.mktemp("source")
    path = write_video(folder / "a/b.mkv", counting(20), "ffv1", "bgr0")
    return Video(folder, "a/b.mkv", path.stat().st_size)


def run(task: VideoTask, folder: Path) -> tuple[Outcome, np.ndarray]:
    """The outcome, and the brightness of each frame written: its number."""
    out = folder / "x.frames"
    out.unlink(missing_ok=True)
    outcome = task.run(out)
    frames = np.fromfile(out, np.uint8).reshape(-1, 8, 8, 3)
    return outcome, frames[:, 4, 4, 0] // 10


def starts(outcome: Outcome) -> list[tuple[str, str, int, int, int]]:
    return [
        (c.split, c.facts.id, c.first, c.facts.start, c.frames) for c in outcome.cuts
    ]


def test_a_whole_video_is_one_clip_with_all_its_facts(
    video: Video, tmp_path: Path
) -> None:
    task = VideoTask(video, ALL, "train", label="a")
    outcome, numbers = run(task, tmp_path)
    assert outcome.frames == 20
    np.testing.assert_array_equal(numbers, np.arange(20))
    (cut,) = outcome.cuts
    facts = cut.facts
    assert (cut.split, cut.first, cut.frames) == ("train", 0, 20)
    assert (facts.id, facts.source, facts.label) == ("a/b.mkv", "a/b.mkv", "a")
    assert (facts.width, facts.height, facts.fps) == (48, 32, 10.0)
    assert (facts.codec, facts.start) == ("ffv1", 0)
    named = VideoTask(video, ALL, "train", id="yt_000010")
    assert run(named, tmp_path)[0].cuts[0].facts.id == "yt_000010"


def test_a_video_is_cut_end_to_end(video: Video, tmp_path: Path) -> None:
    outcome, numbers = run(VideoTask(video, replace(ALL, frames=6), "val"), tmp_path)
    assert len(numbers) == 20
    assert starts(outcome) == [("val", f"a/b.mkv@{at}", at, at, 6) for at in (0, 6, 12)]
    assert outcome.leftover_frames == 2


def test_a_video_is_split_in_time(video: Video, tmp_path: Path) -> None:
    task = VideoTask(video, replace(ALL, frames=6), TimeSplit(0.0, 0.2))
    outcome, _ = run(task, tmp_path)
    assert [cut.split for cut in outcome.cuts] == ["train", "train"]
    assert [(m.reason, m.split) for m in outcome.failures] == [("too-short", "test")]
    assert task.promise() == Promise(2, 12)


def test_no_clip_contains_a_cut(tmp_path: Path) -> None:
    """Levels jump at frames 7 and 17; they also move fast for a while, from 10 on."""
    steps = np.full(20, 2)
    steps[10:15], steps[[7, 17]] = 20, (90, -90)
    frames = counting(20).copy()
    frames[:] = np.cumsum(steps).astype(np.uint8)[:, None, None, None]
    path = write_video(tmp_path / "a.mkv", frames, "ffv1", "bgr0")
    cut = Video(tmp_path, "a.mkv", path.stat().st_size)
    three = replace(ALL, frames=3, cuts=0.1)
    outcome, levels = run(VideoTask(cut, three, "train"), tmp_path)
    assert [c.first for c in outcome.cuts] == [0, 3, 7, 10, 13, 17]
    assert outcome.leftover_frames == 2  # frames 6 and 16
    assert levels.tolist() == (np.cumsum(steps) // 10).tolist()
    in_time = VideoTask(cut, replace(three, frames=4), TimeSplit(0.0, 0.3))
    outcome, _ = run(in_time, tmp_path)
    assert [(c.split, c.first) for c in outcome.cuts] == [("train", 0), ("train", 7)]
    (short,) = outcome.failures  # frames 14 to 16, and 17 to 19
    assert (short.split, short.detail) == ("test", "3 frames, a clip has 4")
    shots, _ = run(VideoTask(cut, replace(ALL, cuts=0.1), "train"), tmp_path)
    assert [(c.first, c.frames) for c in shots.cuts] == [(0, 7), (7, 10), (17, 3)]


@pytest.mark.parametrize(("window", "start"), [("start", 0), ("center", 7)])
def test_one_window_is_kept(
    video: Video, tmp_path: Path, window: Window, start: int
) -> None:
    task = VideoTask(video, replace(FIVE, window=window), "train", id="i")
    outcome, numbers = run(task, tmp_path)
    assert starts(outcome) == [("train", f"i@{start}", 0, start, 5)]
    np.testing.assert_array_equal(numbers, np.arange(start, start + 5))
    assert (outcome.frames, outcome.failures) == (5, ())
    assert task.promise() == Promise(1, 5)


def test_all_frames_have_no_window(video: Video, tmp_path: Path) -> None:
    task = VideoTask(video, replace(FIVE, frames="all", min_frames=3), "train")
    outcome, numbers = run(task, tmp_path)
    assert starts(outcome) == [("train", "a/b.mkv", 0, 0, 20)]
    assert len(numbers) == 20
    assert task.promise() == Promise(1, 20)


def test_a_random_window_depends_on_seed_and_name(video: Video, tmp_path: Path) -> None:
    def start(seed: int) -> int:
        cutting = replace(FIVE, window="random", seed=seed)
        outcome, numbers = run(VideoTask(video, cutting, "train"), tmp_path)
        assert list(numbers) == list(range(numbers[0], numbers[0] + 5))
        assert numbers[0] == outcome.cuts[0].facts.start
        return int(numbers[0])

    assert start(3) == start(3)
    assert len({start(seed) for seed in range(8)}) > 3
    cutting = replace(FIVE, window="random")
    drawn = [cutting.window_start(f"{i}.mp4", 20) for i in range(2000)]
    counts = np.bincount(drawn, minlength=16)
    assert len(counts) == 16
    assert counts.min() > 80


def test_a_window_is_counted_in_frames_that_are_kept(
    video: Video, tmp_path: Path
) -> None:
    half = replace(FIVE, fps=5.0)
    outcome, numbers = run(VideoTask(video, half, "train"), tmp_path)
    np.testing.assert_array_equal(numbers, [4, 6, 8, 10, 12])
    assert outcome.cuts[0].facts.start == 2
    assert outcome.cuts[0].facts.fps == 5.0
    double = VideoTask(video, replace(FIVE, fps=20.0, window="start"), "train")
    np.testing.assert_array_equal(run(double, tmp_path)[1], [0, 0, 1, 1, 2])


@pytest.mark.parametrize("promised", [0, 23, 200, 3])
def test_a_header_that_is_wrong_changes_no_window_beyond_the_video(
    video: Video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promised: int
) -> None:
    """Header promises too many: chosen again. None: counted. Too few: within them."""
    monkeypatch.setattr(module, "expected_frames", lambda container, stream: promised)
    outcome, numbers = run(VideoTask(video, FIVE, "train"), tmp_path)
    start = {0: 7, 23: 9, 200: 7, 3: 0}[promised]
    assert outcome.cuts[0].facts.start == start
    np.testing.assert_array_equal(numbers, np.arange(start, start + 5))


@pytest.mark.parametrize("cutting", [FIVE, ALL])
def test_a_short_video_is_readable_but_gives_no_clip(
    video: Video, tmp_path: Path, cutting: Cutting
) -> None:
    more = (
        replace(cutting, min_frames=21)
        if cutting.frames == "all"
        else replace(cutting, frames=21)
    )
    task = VideoTask(video, more, "train")
    outcome, _ = run(task, tmp_path)
    (failure,) = outcome.failures
    assert (failure.reason, failure.unreadable) == ("too-short", False)
    assert failure.detail == "20 frames, a clip has 21"
    assert (outcome.cuts, task.promise()) == ((), Promise(0, 0))
    exact = (
        replace(more, min_frames=20)
        if more.frames == "all"
        else replace(more, frames=20)
    )
    assert len(run(VideoTask(video, exact, "train"), tmp_path)[0].cuts) == 1


def test_a_damaged_file_promises_nothing_and_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"<html>")
    task = VideoTask(Video(tmp_path, "x.mp4", 6), ALL, "train")
    assert task.promise() == Promise(0, 0)
    outcome = task.run(tmp_path / "x.frames")
    assert [failure.reason for failure in outcome.failures] == ["open"]


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """A listing leaves pipes out: opening one would hang."""
    import os

    from svtcli.prepare.sources.source_folder import list_videos

    os.mkfifo(tmp_path / "x.mp4")
    found: list[int] = []
    look = threading.Thread(
        target=lambda: found.append(len(list_videos(tmp_path).videos)), daemon=True
    )
    look.start()
    look.join(5)
    assert found == [0]


def test_frames_outside_a_window_are_not_resized(
    video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    resized: list[int] = []
    original = module.Resizer.__call__

    def spy(self: module.Resizer, *given: Any) -> np.ndarray:
        resized.append(1)
        return original(self, *given)

    monkeypatch.setattr(module.Resizer, "__call__", spy)
    kept = list(decode(video.path, 8, first=7, frames=5))
    assert (len(kept), len(resized)) == (5, 5)
    resized.clear()
    # At 20 a second a frame comes twice; it is resized once.
    assert len(list(decode(video.path, 8, fps=20.0, first=10, frames=6))) == 6
    assert len(resized) <= 4


def test_nothing_is_decoded_behind_a_window(video: Video, tmp_path: Path) -> None:
    """Damage after the last frame that is kept does not matter."""
    path = write_video(tmp_path / "a.mp4", counting(60), gop=1)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    cut = Video(tmp_path, "a.mp4", 1)
    start = VideoTask(cut, replace(FIVE, window="start"), "train")
    assert len(run(start, tmp_path)[1]) == 5
    outcome = VideoTask(cut, ALL, "train").run(tmp_path / "y.frames")
    assert [failure.reason for failure in outcome.failures] == ["decode"]
