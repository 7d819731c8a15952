"""Evaluations that were interrupted go on, and end as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.evaluate import results
from svtcli.evaluate.plan import LikelihoodPlan, plan_likelihood
from svtcli.evaluate.results import LikelihoodResult, read_result
from svtcli.evaluate.stage import evaluate, evaluate_task
from svtcli.failure import Locked, Stopped, StorageFailed
from svtcli.model import likelihood
from svtcli.recipe.schema import Eval
from svtcli.run.directory import RunFolder
from svtcli.run.lock import only_writer
from svtcli.run.partial import ArrayTask, PartialResult, Unfinished
from svtcli.run.progress import Silent
from svtcli.train.commit_record import open_checkpoint
from tests.train.on_devices import on_devices
from tests.trained_place import RUN

TESTS = str(Path(__file__).parents[2])
"""Where another process finds the tests, whatever its working directory."""

TEST = Eval(batch=2)
"""Four clips in two batches of eight slices."""


class Counted(Silent):
    """How many clips were to be scored, and what was said."""

    def __init__(self) -> None:
        self.total: int | None = 0
        self.notes: list[str] = []
        self.done: list[int] = []

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        assert (task, unit) == ("scoring likelihood", "clips")
        self.total = total

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        self.done.append(done)

    def note(self, line: str) -> None:
        self.notes.append(line)


class Interrupted(Counted):
    """A signal after so many slices."""

    def __init__(self, after: int, number: signal.Signals = signal.SIGINT) -> None:
        super().__init__()
        self.after, self.number, self.ended = after, number, False

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        super().advance(done, facts)
        if len(self.done) == self.after:
            os.kill(os.getpid(), self.number)

    def end(self) -> None:
        self.ended = True


def planned(**changes: object) -> LikelihoodPlan:
    return plan_likelihood(open_checkpoint(RunFolder(RUN)), replace(TEST, **changes))


def stopped(plan: LikelihoodPlan, after: int, number=signal.SIGINT) -> Stopped:
    """How a call ended that was told to stop."""
    progress = Interrupted(after, number)
    with pytest.raises(Stopped) as caught:
        evaluate(plan, progress)
    assert progress.ended
    return caught.value


def whole(plan: LikelihoodPlan) -> bytes:
    """The file of an uninterrupted evaluation, which goes away again."""
    evaluate(plan, Silent())
    content = plan.out.read_bytes()
    plan.out.unlink()
    return content


def beside(plan: LikelihoodPlan) -> list[str]:
    """What there is in the run's `eval/`."""
    return sorted(path.name for path in plan.out.parent.iterdir())


@pytest.mark.parametrize("after", [3, 7])
def test_stopped_before_a_batch_is_scored_nothing_is_left(place, after):
    before = sorted(place.rglob("*"))
    failure = stopped(planned(), after)
    assert failure.sentence == "interrupted; 0 of 4 clips are scored and kept"
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("number", "after", "code", "said"),
    [
        (signal.SIGINT, 8, 130, "interrupted; 2 of 4"),  # the batch's last slice
        (signal.SIGTERM, 10, 75, "stopped by SIGTERM; 2 of 4"),
        (signal.SIGINT, 16, 130, "interrupted; 4 of 4"),
    ],
)
def test_the_same_call_resumes_with_missing_clips(place, number, after, code, said):
    plan = planned()
    true = whole(plan)
    failure = stopped(plan, after, number)
    assert failure.sentence == f"{said} clips are scored and kept"
    assert failure.code == code
    assert failure.hint == "re-run the same command to resume"
    assert beside(plan) == [f".{plan.out.name}.work"]
    progress = Counted()
    done = after // 8 * 2
    evaluate(plan, progress)
    assert plan.out.read_bytes() == true
    assert progress.notes[0] == f"{done} of 4 clips were scored before"
    assert progress.total == 4 - done if done < 4 else not progress.done
    assert beside(plan) == [plan.out.name]


def test_the_models_of_an_evaluation_are_counted_together(place):
    plan = planned(baselines=("uniform", "untrained"))
    true = whole(plan)
    said = "6 of 8 clips (4 by trained, 4 by untrained) are scored and kept"
    assert stopped(plan, 25).sentence == f"interrupted; {said}"
    progress = Counted()
    assert evaluate(plan, progress).rows[1].mean == pytest.approx(8, rel=1e-15)
    assert plan.out.read_bytes() == true
    assert (progress.total, progress.done[-1]) == (2, 2)
    assert progress.done == sorted(progress.done)


@pytest.mark.parametrize("batch", [1, 3])
def test_it_resumes_with_another_batch(place, batch):
    plan = planned()
    whole(plan)
    true = evaluate(plan, Silent())
    plan.out.unlink()
    stopped(plan, 10)
    progress = Counted()
    (row,) = evaluate(planned(batch=batch), progress).rows
    assert progress.total == 2
    assert row.mean == pytest.approx(true.rows[0].mean, rel=1e-6)
    assert row.error == pytest.approx(true.rows[0].error, rel=1e-5)
    assert beside(plan) == [plan.out.name]


def torn(kept: Path) -> None:
    os.truncate(kept, kept.stat().st_size - 1)


def flipped(kept: Path) -> None:
    content = bytearray(kept.read_bytes())
    content[-50] ^= 1
    kept.write_bytes(content)


def of_another_plan(kept: Path) -> None:
    plan = planned(prime=2)
    stopped(plan, 10)
    (other,) = plan.partial.folder.glob("*.npy")
    shutil.move(other, kept)


@pytest.mark.parametrize("break_", [torn, flipped, of_another_plan])
def test_damaged_and_foreign_pieces_are_scored_again(place, break_):
    plan = planned()
    true = whole(plan)
    stopped(plan, 10)
    (kept,) = plan.partial.folder.glob("*.npy")
    break_(kept)
    progress = Counted()
    evaluate(plan, progress)
    assert plan.out.read_bytes() == true
    assert progress.total == 4


def test_leftovers_of_a_kill_are_removed(place):
    """While a batch is written, and when the result is in place."""
    plan = planned()
    true = whole(plan)
    stopped(plan, 10)
    work = plan.partial.folder
    (work / ".trained-abc.npy.99.part").write_bytes(b"half")
    (work / "task-0-of-2-abc").mkdir()
    shutil.copytree(work, place / "left")
    evaluate(plan, Silent())
    assert plan.out.read_bytes() == true
    assert beside(plan) == [plan.out.name]
    shutil.copytree(place / "left", work)
    evaluate(plan, Silent())
    assert beside(plan) == [plan.out.name]


def test_two_at_once_are_refused(place):
    plan = planned()
    kept = plan.partial
    with only_writer(kept.folder), pytest.raises(Locked, match="in use by process"):
        evaluate(plan, Silent())
    mark = plan.fingerprint[:12]
    with only_writer(kept.folder / f"task-0-of-2-{mark}"):
        with pytest.raises(Locked, match="in use by 1 of a job array"):
            evaluate(plan, Silent())
        with pytest.raises(Locked, match="task-0-of-2"):
            evaluate_task(plan, Silent(), ArrayTask(0, 2))


def test_a_write_that_fails_keeps_what_is_scored(place, monkeypatch):
    plan = planned()
    true = whole(plan)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(results, "write_record", full)
        with pytest.raises(OSError, match="No space left"):
            evaluate(plan, Silent())
        patched.setattr(PartialResult, "gather", lambda self, rows, group: None)
        with pytest.raises(StorageFailed, match="does not hold what was written"):
            evaluate(plan, Silent())
    progress = Counted()
    evaluate(plan, progress)
    assert plan.out.read_bytes() == true
    assert progress.notes == ["4 of 4 clips were scored before"]


def test_a_signal_while_the_result_is_written_comes_after_it(place, monkeypatch):
    plan, publish = planned(), results.write_record
    true = whole(plan)

    def signalled(path: Path, evaluation: dict) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        publish(path, evaluation)

    with monkeypatch.context() as patched:
        patched.setattr(results, "write_record", signalled)
        done = r"interrupted; runs/mine.*\.json is complete"
        with pytest.raises(Stopped, match=done):
            evaluate(plan, Silent())
    assert plan.out.read_bytes() == true


def test_tasks_of_a_job_array_score_the_same(place):
    plan, ends = planned(baselines=("untrained", "uniform")), []
    true = whole(plan)
    for index in (2, 0, 1):
        ends.append(evaluate_task(plan, Silent(), ArrayTask(index, 3)))
        if index == 2:  # one that is repeated scores nothing again
            progress = Counted()
            evaluate_task(plan, progress, ArrayTask(2, 3))
            assert progress.done == []
    assert ends[:2] == [
        Unfinished(plan.out, 2, 8),
        Unfinished(plan.out, 6, 8),
    ]
    assert ends[2] == read_result(plan.out, LikelihoodResult)
    assert ends[2].rows[0].mean == pytest.approx(
        _evaluation(place, true).rows[0].mean, rel=1e-6
    )
    assert beside(plan) == [plan.out.name]
    assert evaluate_task(plan, Silent(), ArrayTask(0, 3)) == ends[2]


def _evaluation(place: Path, content: bytes):
    (place / "true.json").write_bytes(content)
    return read_result(place / "true.json", LikelihoodResult)


def test_a_task_without_clips_scores_none_and_may_be_the_last(place):
    plan = planned(clips=1)
    last = ArrayTask(1, 2)
    assert evaluate_task(plan, Silent(), last) == Unfinished(plan.out, 0, 1)
    assert not plan.out.parent.exists()
    evaluate_task(plan, Silent(), ArrayTask(0, 2))
    assert plan.finished


def test_the_scorer_is_compiled_once(place):
    """All slices, windows, models and batches, and what is missing after a stop."""
    likelihood._scored_nll.clear_cache()
    plan = planned(frames=6, batch=3, baselines=("uniform", "untrained"))
    stopped(plan, 20)
    evaluate(plan, Silent())
    assert likelihood._scored_nll._cache_size() == 1


def test_other_devices_resume_to_the_same_scores(place):
    """Two of four clips are scored on one device, the others on three of four."""
    plan = planned(baselines=("untrained",))
    true = _evaluation(place, whole(plan))
    stopped(plan, 10)
    worker = "tests.evaluate.evaluate_worker"
    (said,), _ = on_devices(4, worker, "3", PYTHONPATH=TESTS)
    assert (said["total"], said["devices"], said["programs"]) == (6, 3, 1)
    made = read_result(plan.out, LikelihoodResult)
    for row, same in zip(made.rows, true.rows, strict=True):
        assert row.mean == pytest.approx(same.mean, rel=1e-6)
        assert row.per_frame == pytest.approx(same.per_frame, rel=1e-6)
    assert beside(plan) == [plan.out.name]


@pytest.mark.slow
def test_a_kill_loses_one_batch(place):
    plan = planned()
    true = whole(plan)
    line = [sys.executable, "-m", "tests.evaluate.evaluate_worker", "2", "13"]
    env = os.environ | {"PYTHONPATH": TESTS}
    killed = subprocess.run(line, env=env, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    progress = Counted()
    (row,) = evaluate(plan, progress).rows
    assert progress.notes[0] == "2 of 4 clips were scored before"
    assert row.mean == pytest.approx(_evaluation(place, true).rows[0].mean, rel=1e-6)
    assert beside(plan) == [plan.out.name]
