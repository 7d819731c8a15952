"""Job arrays, and trying again what failed: always the bytes of one plain run."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

import svtcli.prepare.sources.folder as folder_source
from svtcli.clips.format import read_manifest
from svtcli.clips.verify import verify
from svtcli.failure import CheckFailed, Locked, Refused
from svtcli.prepare import build
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.find_clips import Prepared
from svtcli.prepare.stage import prepare, prepare_task, retry
from svtcli.recipe.data import FolderData
from svtcli.run.lock import only_writer
from svtcli.run.partial import ArrayTask, Unfinished
from svtcli.run.progress import Silent
from tests.prepare.test_prepare import Recorder, contents, folder_data
from tests.video.video_files import moving_square, truncate, write_video

FRAMES = {"a": 20, "b": 9, "c": 30, "d": 12, "e": 16, "f": 8, "g": 11}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven videos, two of them broken: one cut short, one empty."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in FRAMES.items():
        write_video(folder / f"{name}.mp4", moving_square(frames))
    whole = (folder / "c.mp4").read_bytes()
    (folder / "c.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "f.mp4").write_bytes(b"")
    return folder


@pytest.fixture(autouse=True)
def two_in_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_source, "SHARD_VIDEOS", 2)
    monkeypatch.setattr("svtcli.prepare.plan.SHARDS", 1)


@pytest.fixture
def data(videos: Path) -> FolderData:
    return folder_data(videos, frames=4, test=0.3, max_failures=0.5)


OPTIONS = PrepareOptions(workers=1)


@pytest.fixture
def plain(data: FolderData, tmp_path: Path) -> Path:
    """Result of one plain run."""
    prepare(data, tmp_path / "plain", Silent(), OPTIONS)
    return tmp_path / "plain"


def task(index: int, count: int) -> PrepareOptions:
    return replace(OPTIONS, task=ArrayTask(index, count))


def test_the_last_task_of_a_job_array_publishes(
    data: FolderData, plain: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    groups = sum(len(s.shards) for s in read_manifest(plain).splits.values())
    assert groups == 4
    first = prepare_task(data, out, Silent(), task(1, 2))
    assert first == Unfinished(out, 2, 4)
    assert not (out / "manifest.json").exists()
    assert prepare_task(data, out, Silent(), task(1, 2)) == first
    assert isinstance(prepare_task(data, out, Silent(), task(0, 2)), Prepared)
    assert contents(out) == contents(plain)
    late = prepare_task(data, out, Silent(), task(1, 2))
    assert isinstance(late, Prepared)
    assert late.existed


def test_tasks_of_a_job_array_resume_after_a_stop(
    data: FolderData, plain: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare_task(data, out, Silent(), task(0, 4))
    half = out / ".work/building-task-1-of-4-0badcafe"
    half.mkdir()
    (half / "train-00000-of-00003.frames.npy.tmp").write_bytes(b"half a shard")
    again = Recorder()
    prepare_task(data, out, again, task(0, 2))
    assert "1 of 2 shards were finished before" in again.lines
    prepare_task(data, out, Silent(), task(1, 2))
    assert contents(out) == contents(plain)


def test_tasks_and_single_runs_exclude_each_other(
    data: FolderData, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare_task(data, out, Silent(), task(0, 2))
    with ExitStack() as other:
        (first,) = out.glob(".work/task-0-of-2-*")
        second = first.name.replace("0-of-2", "1-of-2")
        other.enter_context(only_writer(first.with_name(second)))
        with pytest.raises(Locked, match="1 of a job array"):
            prepare(data, out, Silent(), OPTIONS)
        with pytest.raises(Locked, match="task-1-of-2"):
            prepare_task(data, out, Silent(), task(1, 2))
        with pytest.raises(Refused, match="other clips are being computed"):
            prepare_task(replace(data, seed=5), out, Silent(), task(0, 2))
    prepare(data, out, Silent(), OPTIONS)


def test_only_failures_are_retried(
    data: FolderData, plain: Path, videos: Path, tmp_path: Path
) -> None:
    source = tmp_path / "repaired"
    shutil.copytree(videos, source)
    write_video(source / "c.mp4", moving_square(30))
    repaired = replace(data, source=str(source))
    with pytest.raises(Refused, match="source has changed") as refused:
        prepare(repaired, plain, Silent())
    assert "--retry-failed" in (refused.value.hint or "")
    before = {path.name: path.stat().st_mtime_ns for path in plain.glob("*.npy")}
    decoded = Recorder()
    done = retry(repaired, plain, decoded, OPTIONS)
    assert decoded.steps[-1] == 2
    assert done.failures == {"open": 1}
    assert verify(plain, Silent()) == sum(done.clips.values())
    kept = [n for n, t in before.items() if (plain / n).stat().st_mtime_ns == t]
    assert kept
    assert len(kept) < len(before)
    prepare(repaired, tmp_path / "anew", Silent(), OPTIONS)
    assert contents_without_report(plain) == contents_without_report(tmp_path / "anew")


def contents_without_report(folder: Path) -> dict[str, str]:
    return {k: v for k, v in contents(folder).items() if k != "report.json"}


def test_a_retry_needs_the_same_files_and_a_failure(
    data: FolderData, plain: Path, videos: Path, tmp_path: Path
) -> None:
    source = tmp_path / "more"
    shutil.copytree(videos, source)
    write_video(source / "new.mp4", moving_square(5))
    with pytest.raises(Refused, match="the source has other files"):
        retry(replace(data, source=str(source)), plain, Silent(), OPTIONS)
    with pytest.raises(Refused, match=r"frames: 4 there, 5 requested"):
        retry(replace(data, frames=5), plain, Silent(), OPTIONS)
    with pytest.raises(Refused, match="no such folder"):
        retry(data, tmp_path / "nothing", Silent(), OPTIONS)
    whole = replace(data, match="^[abd]")
    prepare(whole, tmp_path / "whole", Silent(), OPTIONS)
    said = Recorder()
    assert retry(whole, tmp_path / "whole", said, OPTIONS).existed
    assert said.lines[0].endswith("whole: no failures, nothing to retry")


def test_too_many_failures_stop_the_work_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "EARLIEST", 3)
    source, said = tmp_path / "in", Recorder()
    write_video(source / "whole.mp4", moving_square(8))
    for number in range(30):
        truncate(source / "whole.mp4", source / f"{number}.mp4", 0.5)
    with pytest.raises(
        CheckFailed, match=r"4 of 31 videos could not be read"
    ) as failed:
        prepare(folder_data(source), tmp_path / "out", said, PrepareOptions(workers=1))
    assert ".work/failures.jsonl" in (failed.value.hint or "")
    listed = (tmp_path / "out/.work/failures.jsonl").read_text().splitlines()
    assert len(listed) == 4
    assert set(json.loads(listed[0])) == {"source", "reason", "detail", "lost"}


TERMINATED = """
import os, signal, sys
from pathlib import Path
from svtcli.run.progress import Silent
from svtcli.recipe.data import FolderData
from svtcli.prepare.stage import prepare
from svtcli.failure import Stopped
class Terminating(Silent):
    def advance(self, done, facts=None):
        if done == 2:
            os.kill(os.getpid(), signal.SIGTERM)
data = FolderData(kind="folder", source=sys.argv[1], size=16)
try:
    prepare(data, Path(sys.argv[2]), Terminating())
except Stopped as error:
    print(error.sentence)
    sys.exit(error.code)
"""


def test_sigterm_leaves_a_resumable_folder(videos: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-c", TERMINATED, str(videos), str(tmp_path / "out")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 75, done.stderr
    assert "stopped by SIGTERM; 2 of 7 shards" in done.stdout
    assert not list((tmp_path / "out/.work").glob("building-*"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    prepare(folder_data(videos, max_failures=0.5), tmp_path / "out", Silent(), OPTIONS)
