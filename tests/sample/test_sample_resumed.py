"""Interrupted sampling resumes, and gives the same samples."""

import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svtcli.failure import Locked, Refused, Stopped, StorageFailed
from svtcli.recipe.schema import Sample
from svtcli.run.directory import RunFolder
from svtcli.run.lock import only_writer
from svtcli.run.partial import ArrayTask, PartialResult, Unfinished
from svtcli.run.progress import Silent
from svtcli.run.samples import read_facts, read_samples
from svtcli.sample import stage
from svtcli.sample.plan import SamplePlan, plan_samples
from svtcli.sample.slice_state import sample_slice
from svtcli.sample.stage import sample, sample_task
from svtcli.train.commit_record import open_checkpoint
from tests.trained_place import RUN

TEST = Sample(count=3, batch=2, schedule="sequential")
"""Three videos in two batches of eight slices."""


class Counted(Silent):
    """Records the number of slices, and the notes."""

    def __init__(self) -> None:
        self.total: int | None = 0
        self.notes: list[str] = []

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        self.total = total

    def note(self, line: str) -> None:
        self.notes.append(line)


class Interrupted(Silent):
    """A signal while slice `after` is made."""

    def __init__(self, after: int, number: signal.Signals = signal.SIGINT) -> None:
        self.after, self.number, self.ended = after, number, False

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        if done == self.after:
            os.kill(os.getpid(), self.number)

    def end(self) -> None:
        self.ended = True


def planned(**changes: object) -> SamplePlan:
    out = changes.pop("out", None)
    checkpoint = open_checkpoint(RunFolder(RUN))
    return plan_samples(checkpoint, replace(TEST, **changes), out=out)


def stopped(plan: SamplePlan, after: int, number=signal.SIGINT) -> Stopped:
    """Return how a call ended that was sent a signal."""
    progress = Interrupted(after, number)
    with pytest.raises(Stopped) as caught:
        sample(plan, progress)
    assert progress.ended
    return caught.value


def whole(place: Path) -> dict[str, bytes]:
    """Contents of uninterrupted samples."""
    return contents(sample(planned(out=place / "whole"), Silent()))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def beside(plan: SamplePlan) -> list[str]:
    """Names in the run's samples folder."""
    return sorted(path.name for path in plan.out.parent.iterdir())


@pytest.mark.parametrize("after", [3, 7])
def test_a_stop_before_the_first_finished_video_leaves_nothing(place, after):
    before = sorted(place.rglob("*"))
    failure = stopped(planned(), after)
    assert failure.sentence == "interrupted; 0 of 3 videos are finished and kept"
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("number", "after", "code", "said"),
    [
        (signal.SIGINT, 8, 130, "interrupted; 2 of 3"),  # the batch's last slice
        (signal.SIGTERM, 10, 75, "stopped by SIGTERM; 2 of 3"),
        (signal.SIGINT, 16, 130, "interrupted; 3 of 3"),
    ],
)
def test_the_same_call_resumes(place, number, after, code, said):
    plan = planned()
    failure = stopped(plan, after, number)
    assert failure.sentence == f"{said} videos are finished and kept"
    assert failure.code == code
    assert failure.hint == "re-run the same command to resume"
    assert beside(plan) == [f".{plan.out.name}.work"]
    progress = Counted()
    done = min(after // 8 * 2, 3)
    assert contents(sample(plan, progress)) == whole(place)
    assert progress.notes[0] == f"{done} of 3 videos were finished before"
    assert progress.total == (8 if done == 2 else 0)
    assert beside(plan) == [plan.out.name]


@pytest.mark.parametrize(
    "changes", [{"batch": 1}, {"schedule": "guess", "window": 4}], ids=str
)
def test_sampling_resumes_with_another_batch_and_schedule(place, changes):
    stopped(planned(), 10)
    progress = Counted()
    plan = planned(**changes)
    other = read_samples(sample(plan, progress))
    assert "2 of 3 videos were finished before" in progress.notes
    whole(place)
    true = read_samples(place / "whole")
    assert (other.video == true.video).all()
    assert np.allclose(other.log_prob, true.log_prob, rtol=1e-5)
    assert beside(plan) == [plan.out.name]


def torn(kept: Path) -> None:
    os.truncate(kept, kept.stat().st_size - 1)


def flipped(kept: Path) -> None:
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)


def of_another_plan(kept: Path) -> None:
    plan = planned(seed=1)
    stopped(plan, 10)
    (other,) = plan.partial.folder.glob("*.npy")
    shutil.move(other, kept.parent)
    kept.unlink()


@pytest.mark.parametrize("break_", [torn, flipped, of_another_plan])
def test_damaged_or_foreign_partial_files_are_sampled_again(place, break_):
    plan = planned()
    stopped(plan, 10)
    (kept,) = plan.partial.folder.glob("*.npy")
    break_(kept)
    progress = Counted()
    assert contents(sample(plan, progress)) == whole(place)
    assert progress.total == 16


def test_leftovers_of_a_kill_are_removed(place):
    """While a batch is written, the folder of samples, and when it is in place."""
    plan = planned()
    stopped(plan, 10)
    work = plan.partial.folder
    (work / ".abc.npy.99.part").write_bytes(b"half")
    (work / "whole").mkdir()
    (work / "whole" / "samples.npy").write_bytes(b"half")
    (work / "whole" / ".samples.json.99.part").write_bytes(b"{")
    (work / "task-0-of-2-abc").mkdir()
    shutil.copytree(work, place / "left")
    assert contents(sample(plan, Silent())) == whole(place)
    assert beside(plan) == [plan.out.name]
    shutil.copytree(place / "left", work)
    sample(plan, Silent())
    assert beside(plan) == [plan.out.name]


def test_other_samples_in_the_same_folder_begin_anew(place):
    plan, other = planned(out=place / "a"), planned(out=place / "a", seed=1)
    stopped(plan, 10)
    progress = Counted()
    sample(other, progress)
    assert progress.total == 16
    assert not list(place.glob(".a*"))


def test_two_at_once_are_refused(place):
    plan = planned()
    kept = plan.partial
    with only_writer(kept.folder), pytest.raises(Locked, match="in use by process"):
        sample(plan, Silent())
    with (
        only_writer(kept.folder / "task-0-of-2-abc"),
        pytest.raises(Locked, match="in use by 1 of a job array"),
    ):
        sample(plan, Silent())
    with (
        only_writer(kept.folder / "task-0-of-2-abc"),
        pytest.raises(Refused, match="other samples are being computed here"),
    ):
        sample_task(plan, Silent(), ArrayTask(1, 2))


def test_a_write_that_fails_keeps_what_is_finished(place, monkeypatch):
    plan = planned()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(stage, "write_samples", full)
        with pytest.raises(OSError, match="No space left"):
            sample(plan, Silent())
        patched.setattr(PartialResult, "gather", lambda self, rows: None)
        with pytest.raises(StorageFailed, match="does not hold what was written"):
            sample(plan, Silent())
    progress = Counted()
    assert contents(sample(plan, progress)) == whole(place)
    assert progress.notes == ["3 of 3 videos were finished before"]


def test_a_signal_while_the_folder_is_written_comes_after_it(place, monkeypatch):
    plan, publish = planned(), stage.write_samples

    def signalled(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        publish(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(stage, "write_samples", signalled)
        with pytest.raises(Stopped, match=r"interrupted; runs/mine.* is complete"):
            sample(plan, Silent())
    assert contents(plan.out) == whole(place)


def test_tasks_of_a_job_array_give_the_same_samples(place):
    plan, ends = planned(), []
    for index in (1, 0):
        if index == 0:  # one that is repeated makes nothing again
            progress = Counted()
            sample_task(plan, progress, ArrayTask(1, 2))
            assert progress.total == 0
        ends.append(sample_task(plan, Silent(), ArrayTask(index, 2)))
    assert ends == [Unfinished(plan.out, 1, 3), plan.out]
    made, true = contents(plan.out), whole(place)
    for name in ("samples.npy", "truth.npy"):
        assert made[name] == true[name]
    assert read_facts(plan.out) == read_facts(place / "whole")
    assert beside(plan) == [plan.out.name]
    assert sample_task(plan, Silent(), ArrayTask(0, 2)) == plan.out


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": "guess", "window": 4},
        pytest.param({"schedule": "parallel"}, marks=pytest.mark.slow),
    ],
    ids=["sequential", "guess", "parallel"],
)
def test_a_schedule_is_compiled_once(place, changes):
    """One program serves slices, windows, batches and a resumed call; parameters as
    orbax restores them are committed, and would cost a second time."""
    sample_slice.clear_cache()
    plan = planned(frames=6, **changes)
    stopped(plan, 20)
    sample(plan, Silent())
    assert sample_slice._cache_size() == 1
