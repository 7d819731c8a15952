"""Kills, signals and full disks: the same command resumes, to the same bytes."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import svtcli.prepare.sources.folder as folder_source
from svtcli.clips.writer import ArrayFile
from svtcli.failure import Failure, StorageFailed
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.stage import prepare
from svtcli.run.progress import Silent
from tests.cli.terminal import svt
from tests.prepare.test_prepare import Recorder, contents, folder_data
from tests.video.video_files import moving_square, write_video

VIDEOS = 24

PROGRAM = """
import sys
from pathlib import Path
import svtcli.prepare.sources.folder as folder_source
from svtcli.prepare import plan
from svtcli.recipe.data import FolderData
from svtcli.run.progress import Silent
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.stage import prepare
folder_source.SHARD_VIDEOS, plan.SHARDS = 3, 1
data = FolderData(kind="folder", source=sys.argv[1], size=16, frames=4)
prepare(data, Path(sys.argv[2]), Silent(), PrepareOptions(workers=2))
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(VIDEOS):
        write_video(folder / f"{number}.mp4", moving_square(6 + number))
    return folder


@pytest.fixture(autouse=True)
def three_in_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_source, "SHARD_VIDEOS", 3)
    monkeypatch.setattr("svtcli.prepare.plan.SHARDS", 1)


def begin(videos: Path, out: Path) -> subprocess.Popen:
    """A preparation in a process group of its own."""
    command = [sys.executable, "-c", PROGRAM, str(videos), str(out)]
    return subprocess.Popen(command, start_new_session=True)


Moment = Callable[[], bool]


def after(seconds: float) -> Moment:
    """So long after the start."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def finished(out: Path, shards: int) -> Moment:
    """When so many shards are finished, however long that takes here."""
    return lambda: len(list(out.glob(".work/*.frames.npy"))) >= shards


def kill_and_go_on(videos: Path, out: Path, moments: list[Callable[[], Moment]]) -> int:
    """Kill at each moment, with or without the workers; how often."""
    killed = 0
    for number, begins in enumerate(moments):
        with begin(videos, out) as process:
            reached = begins()
            while process.poll() is None and not reached():
                time.sleep(0.002)
            if process.poll() is None:
                killed += 1
                if number % 2:
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode == 0:
            break
    with begin(videos, out) as last:
        assert last.wait(300) == 0
    return killed


def timed(videos: Path, out: Path) -> float:
    """PrepareOptions long an undisturbed preparation takes here, in seconds."""
    begun = time.monotonic()
    with begin(videos, out) as process:
        assert process.wait(300) == 0
    return time.monotonic() - begun


def test_a_killed_preparation_resumes_to_the_same_bytes(
    videos: Path, tmp_path: Path
) -> None:
    timed(videos, tmp_path / "whole")
    out = tmp_path / "out"
    moments = [partial(finished, out, shards) for shards in (1, 3, 6)]
    assert kill_and_go_on(videos, out, moments)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_random_kills_leave_the_same_bytes(videos: Path, tmp_path: Path) -> None:
    seconds, chance, killed = timed(videos, tmp_path / "whole"), random.Random(0), 0
    for place in range(10):
        out = tmp_path / f"{place}"
        moments = [partial(after, chance.uniform(0.2, 1.0) * seconds) for _ in range(3)]
        killed += kill_and_go_on(videos, out, moments)
        assert contents(out) == contents(tmp_path / "whole")
    print(f"killed {killed} of 30 times, {seconds:.1f} s undisturbed")
    assert killed >= 15


def test_a_full_disk_leaves_a_resumable_folder(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out, room = folder_data(videos, frames=4), tmp_path / "out", 60_000
    append = ArrayFile.append

    def until_full(self: ArrayFile, array) -> int:  # type: ignore[no-untyped-def]
        nonlocal room
        room -= array.nbytes
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return append(self, array)

    monkeypatch.setattr(ArrayFile, "append", until_full)
    full_at = r"No space left.*; [1-9] of 9 shards"
    with pytest.raises(StorageFailed, match=full_at) as full:
        prepare(data, out, Silent(), PrepareOptions(workers=2))
    assert "re-run the same command" in (full.value.hint or "")
    assert not list((out / ".work").glob("building-*"))
    monkeypatch.undo()
    monkeypatch.setattr(folder_source, "SHARD_VIDEOS", 3)
    monkeypatch.setattr("svtcli.prepare.plan.SHARDS", 1)
    said = Recorder()
    prepare(data, out, said, PrepareOptions(workers=2))
    assert "of 9 shards were finished before" in said.lines[0]
    prepare(data, tmp_path / "whole", Silent(), PrepareOptions(workers=2))
    assert contents(out) == contents(tmp_path / "whole")


@pytest.fixture
def much(tmp_path: Path) -> Path:
    """Work for longer than any of this takes: many names of one long video."""
    folder = tmp_path / "much"
    long = write_video(folder / "long.mp4", moving_square(2000))
    for number in range(1000):
        (folder / f"{number}.mp4").hardlink_to(long)
    return folder


def test_ctrl_c_tells_how_to_resume_and_a_second_writer_is_refused(
    much: Path, tmp_path: Path
) -> None:
    words = ["prepare", "folder", "--source", "much", "--size", "8", "--out", "out"]
    program = [str(Path(sys.executable).parent / "svt"), *words]
    with subprocess.Popen(
        program, cwd=tmp_path, start_new_session=True, stderr=-1, text=True
    ) as first:
        deadline = time.monotonic() + 240
        while not list(tmp_path.glob("out/.work/building-*/*.frames")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = svt(*words, cwd=tmp_path)
        assert second.code == 73, second.err
        assert f"in use by process {first.pid}" in second.err
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does
        _, said = first.communicate(timeout=240)
    assert first.returncode == 130, said
    assert "interrupted; 0 of" in said
    assert "re-run the same command to resume" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("out/.work/building-*"))


def test_only_a_complete_dataset_can_be_opened(tmp_path: Path) -> None:
    from svtcli.clips.reader import open_clips

    (tmp_path / ".work").mkdir()
    with pytest.raises(Failure, match="no prepared clips here"):
        open_clips(tmp_path, "train")
