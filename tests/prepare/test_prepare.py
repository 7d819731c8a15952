import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import read_manifest
from svtcli.clips.reader import open_clips
from svtcli.clips.verify import verify
from svtcli.failure import BadData, CheckFailed, Failure, Locked, Refused, Stopped
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.stage import prepare, preview
from svtcli.recipe.data import ArraysData, FolderData, clips_folder
from svtcli.run.progress import Silent
from svtcli.video.decode import decode
from tests.video.video_files import moving_square, truncate, write_sound, write_video

LENGTHS = {"a": 20, "b": 9, "sub/c": 30, "sub/d": 12, "e": 16}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five whole videos of 9 to 30 frames."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in LENGTHS.items():
        write_video(folder / f"{name}.mp4", moving_square(frames))
    return folder


def folder_data(source: Path, **settings: object) -> FolderData:
    data = FolderData(kind="folder", source=str(source), size=16)
    return replace(data, **settings)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, str]:
    """Every file but the lock, as its hash."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != ".lock"
    }


class Recorder(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[int] = []

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        self.steps.append(done)

    def note(self, line: str) -> None:
        self.lines.append(line)


def test_clips_are_the_frames_of_their_videos(videos: Path, tmp_path: Path) -> None:
    data = folder_data(videos, frames=8, test=0.4)
    done = prepare(data, tmp_path / "clips", Silent(), PrepareOptions(workers=2))
    assert sum(done.clips.values()) == sum(n // 8 for n in LENGTHS.values())
    report = json.loads((tmp_path / "clips/report.json").read_text())
    assert report["leftover_frames"] == sum(n % 8 for n in LENGTHS.values())
    seen: dict[str, set[str]] = {}
    for split in ("train", "test"):
        clips = open_clips(tmp_path / "clips", split)
        assert set(clips.lengths) == {8}
        for i, facts in enumerate(clips.facts):
            whole = np.stack(list(decode(videos / facts.source, 16)))
            part = whole[facts.start : facts.start + 8]
            np.testing.assert_array_equal(clips.read(i), part)
            assert (facts.width, facts.height, facts.codec) == (48, 32, "h264")
        assert len(set(clips.ids)) == len(clips)
        seen[split] = {facts.source for facts in clips.facts}
    assert len(seen["test"]) == 2
    assert not seen["test"] & seen["train"]
    assert verify(tmp_path / "clips", Silent()) == sum(done.clips.values())


def test_a_split_in_time_keeps_each_frame_once(videos: Path, tmp_path: Path) -> None:
    data = folder_data(videos, split="time", test=0.2, val=0.2)
    prepare(data, tmp_path, Silent(), PrepareOptions(workers=2))
    found: dict[str, list[np.ndarray]] = {}
    for split in ("train", "val", "test"):
        clips = open_clips(tmp_path, split)
        assert len(clips) == 5
        for i, facts in enumerate(clips.facts):
            found.setdefault(facts.source, []).append(clips.read(i))
    for source, parts in found.items():
        whole = np.stack(list(decode(videos / source, 16)))
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        assert len(parts[2]) == round(0.2 * len(whole))


def test_the_bytes_do_not_depend_on_workers_or_place(
    videos: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "moved"
    shutil.copytree(videos, elsewhere)
    prepare(
        folder_data(videos, frames=4),
        tmp_path / "one",
        Silent(),
        PrepareOptions(workers=1),
    )
    four = folder_data(elsewhere, frames=4)
    prepare(four, tmp_path / "four", Silent(), PrepareOptions(workers=4))
    assert contents(tmp_path / "one") == contents(tmp_path / "four")
    other = prepare(folder_data(videos, frames=4, seed=1), tmp_path / "two", Silent())
    assert other.fingerprint != read_manifest(tmp_path / "one").fingerprint


@pytest.fixture
def dirty(videos: Path, tmp_path: Path) -> Path:
    """The five videos, and one file of each kind of dirt."""
    folder = tmp_path / "dirty"
    shutil.copytree(videos, folder)
    (folder / "zero.mp4").write_bytes(b"")
    (folder / "page.mp4").write_text("<!doctype html><html>404</html>")
    truncate(videos / "sub/c.mp4", folder / "cut.mp4", 0.7)
    write_sound(folder / "sound.mp4")
    write_video(folder / "short.mp4", moving_square(3))
    write_video(folder / "odd.mkv", moving_square(8, 47, 33), pix_fmt="yuv444p10le")
    return folder


REASONS = {
    "zero.mp4": "open",
    "page.mp4": "open",
    "cut.mp4": "decode",
    "sound.mp4": "no-video",
    "short.mp4": "too-short",
}


@pytest.fixture(autouse=True)
def one_shard_of_a_split() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("svtcli.prepare.plan.SHARDS", 1)
        yield


def test_a_damaged_file_loses_only_its_own_clips(dirty: Path, tmp_path: Path) -> None:
    data, progress = folder_data(dirty, frames=8, max_failures=0.5), Recorder()
    done = prepare(data, tmp_path / "out", progress)
    rows = (tmp_path / "out/failures.jsonl").read_text().splitlines()
    missed = {row["source"]: row["reason"] for row in map(json.loads, rows)}
    assert missed == REASONS
    assert done.failures == {"open": 2, "decode": 1, "no-video": 1, "too-short": 1}
    assert read_manifest(tmp_path / "out").failures == done.failures
    assert sum(done.clips.values()) == 1 + sum(n // 8 for n in LENGTHS.values())
    assert [line.split(":")[0] for line in progress.lines if "zero" in line] == [
        "zero.mp4"
    ]
    assert progress.steps == list(range(1, 12))


def test_too_many_failures_fail_the_check(dirty: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "out", folder_data(dirty, frames=8)
    with pytest.raises(
        CheckFailed, match=r"4 of 11 videos could not be read \(2 unreadable"
    ):
        prepare(data, out, Silent())
    assert not (out / "manifest.json").exists()
    listed = (out / ".work/failures.jsonl").read_text().splitlines()
    assert len(listed) == 5
    again = Recorder()
    prepare(replace(data, max_failures=0.4), out, again)
    assert again.lines == ["2 of 2 shards were finished before"]
    assert not (out / ".work").exists()


def test_no_clips_at_all_is_an_error_and_leaves_nothing(
    videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadData, match=r"no clips: .*5 too short.* a clip has 31"):
        prepare(folder_data(videos, frames=31), tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_missing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no source for folder"):
        prepare(folder_data(tmp_path / "none"), tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_finished_clips_are_found_at_once(videos: Path, tmp_path: Path) -> None:
    data, out = folder_data(videos), tmp_path / "out"
    first = prepare(data, out, Silent())
    before, progress = contents(out), Recorder()
    assert prepare(data, out, progress) == replace(first, existed=True)
    assert progress.lines == [f"{out}: these clips are already prepared"]
    assert preview(data, out).finished
    gone = replace(data, source=str(tmp_path / "gone"))
    assert prepare(gone, out, Silent()).existed
    assert contents(out) == before


def test_other_clips_are_kept_unless_forced(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(folder_data(videos, split="time", test=0.3), out, Silent())
    (out / "mine.txt").write_text("a person's own file")
    before = contents(out)
    other = folder_data(videos, frames=8)
    with pytest.raises(Refused, match=r"frames: all there, 8 requested.*split: time"):
        prepare(other, out, Silent())
    assert contents(out) == before
    selected = folder_data(videos, split="time", test=0.3, fps=2.0, match="a")
    wanted = r"\(match: '' there, a requested, fps: nothing there, 2.0 requested\)"
    with pytest.raises(Refused, match=wanted):
        prepare(selected, out, Silent())
    np.save(tmp_path / "a.npy", np.zeros((1, 2, 8, 8, 3), np.uint8))
    arrays = ArraysData("arrays", source=str(tmp_path / "a.npy"))
    with pytest.raises(Refused, match=r"\(kind: folder there, arrays requested\)"):
        prepare(arrays, out, Silent())
    prepare(other, out, Silent(), force=True)
    assert read_manifest(out).spec["frames"] == 8
    assert (out / "mine.txt").exists()
    assert verify(out, Silent()) == sum(n // 8 for n in LENGTHS.values())


def test_a_changed_source_is_noticed(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "in")
    data = folder_data(tmp_path / "in")
    prepare(data, tmp_path / "out", Silent())
    write_video(tmp_path / "in/new.mp4", moving_square(5))
    with pytest.raises(Refused, match="source has changed"):
        prepare(data, tmp_path / "out", Silent())


def test_a_folder_with_something_else_is_not_touched(
    videos: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for force in (False, True):
        with pytest.raises(Refused, match=r"something else \(thesis\.tex\)"):
            prepare(folder_data(videos), tmp_path, Silent(), force=force)
    with pytest.raises(Refused, match="is a file"):
        prepare(folder_data(videos), tmp_path / "thesis.tex", Silent())
    assert list(contents(tmp_path)) == ["thesis.tex"]


def test_a_second_writer_is_refused(videos: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from svtcli.run.lock import only_writer\n"
        f"with only_writer(pathlib.Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=-1) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match=str(other.pid)):
            prepare(folder_data(videos), tmp_path, Silent())
        other.kill()
        other.wait()
    prepare(folder_data(videos), tmp_path, Silent())


class Interrupted(Silent):
    """Press Ctrl-C after some tasks."""

    def __init__(self, after: int) -> None:
        self.after = after

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        if done == self.after:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("after", "finished"), [(1, 0), (4, 1), (5, 2)])
def test_an_interrupted_run_resumes_to_the_same_bytes(
    videos: Path, tmp_path: Path, after: int, finished: int
) -> None:
    data = folder_data(videos, frames=4, test=0.4)
    prepare(data, tmp_path / "whole", Silent())
    out = tmp_path / "out"
    left = f"{finished} of 2 shards are finished" if finished < 2 else "out is complete"
    with pytest.raises(Stopped, match=f"interrupted; .*{left}"):
        prepare(data, out, Interrupted(after))
    if finished < 2:
        assert out.exists() == (finished > 0)
        with pytest.raises(Failure, match="is missing"):
            open_clips(out, "train")
    again = Recorder()
    prepare(data, out, again)
    assert contents(out) == contents(tmp_path / "whole")
    kept = [line for line in again.lines if "finished before" in line]
    assert kept == (["1 of 2 shards were finished before"] if finished == 1 else [])


def test_a_stop_while_publishing_loses_nothing(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder_data(videos, frames=4, test=0.4)
    prepare(data, tmp_path / "whole", Silent())
    out, moves = tmp_path / "out", 0
    replace_ = Path.replace

    def stop_at_third(self: Path, target: Path) -> Path:
        nonlocal moves
        moves += target.parent == out
        if moves == 3:
            raise KeyboardInterrupt
        return replace_(self, target)

    monkeypatch.setattr(Path, "replace", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        prepare(data, out, Silent())
    monkeypatch.undo()
    assert not (out / "manifest.json").exists()
    again = Recorder()
    prepare(data, out, again)
    assert again.lines == ["2 of 2 shards were finished before"]
    assert contents(out) == contents(tmp_path / "whole")


def test_fps_is_kept_and_recorded(videos: Path, tmp_path: Path) -> None:
    data = folder_data(videos, fps=5.0, test=0.0)
    prepare(data, tmp_path, Silent())
    clips = open_clips(tmp_path, "train")
    by_source = dict(zip([f.source for f in clips.facts], clips.lengths, strict=True))
    assert by_source == {f"{name}.mp4": (n + 1) // 2 for name, n in LENGTHS.items()}
    assert {facts.fps for facts in clips.facts} == {5.0}


def test_the_preview_estimates_the_result(videos: Path, tmp_path: Path) -> None:
    data = folder_data(videos, frames=8)
    promised = preview(data, tmp_path / "out")
    made = prepare(data, tmp_path / "out", Silent())
    assert (promised.sources, promised.clips) == (5, sum(made.clips.values()))
    assert promised.bytes == sum(made.frames.values()) * 16 * 16 * 3
    assert not promised.finished


def test_clips_go_where_the_recipe_says(tmp_path: Path) -> None:
    data = folder_data(tmp_path)
    assert clips_folder(data, "quickstart") == Path("clips/quickstart")
    assert clips_folder(replace(data, clips="/d/x"), "quickstart") == Path("/d/x")
