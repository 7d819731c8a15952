"""R12, R13: several processes train as one, stop as one, and notice a lost one."""

import signal
from pathlib import Path

import numpy as np
import pytest

from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics, read_rows
from svtcli.run.progress import Silent
from svtcli.train.commit_record import holds, steps_in
from svtcli.train.stage import train
from tests.faults.team import ByVariables, SlurmJob, Team
from tests.train import tiny_run

SCORED = ("train.validate_every=3", "train.validate_clips=3")
TOLERANCE = 1e-6
"""Relative tolerance: sums over two devices have another order."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    clips = tiny_run.write_clips(tmp_path / "clips", held_out=("test",))
    tiny_run.write_recipe(tmp_path, clips)
    return tmp_path


def run_of(place: Path) -> RunFolder:
    return RunFolder(place / "runs" / "tiny")


def rows_in(place: Path) -> int:
    return len(read_rows(run_of(place).metrics))


def saved_in(place: Path) -> list[int]:
    return steps_in(run_of(place).checkpoints)


def alone(place: Path, run: str, until: int, *words: str) -> RunFolder:
    """One process, one device."""
    folder = RunFolder(place / "runs" / run)
    loaded = tiny_run.loaded(place / "tiny.yaml", *SCORED, *words)
    train(loaded, folder, Silent(), until)
    return folder


def test_two_processes_train_as_one_resume_and_stop_together(
    place: Path,
) -> None:
    straight = alone(place, "straight", 12)
    first, second = Team(place, *SCORED, "--steps", "4").ended()
    assert (first.code, first.out) == (0, "runs/tiny\n"), first.err
    assert (second.code, second.out) == (0, ""), second.err
    assert "2 x cpu (data 2, shard 1)" in first.err
    assert "step 3: validation" in first.err
    assert "validation" not in second.err
    # One process resumes from what two have saved, and two from that.
    alone(place, "tiny", 7)
    words = ("train.save_every=1000", "train.steps=1000000")
    team = Team(place, *words)
    team.until(lambda: rows_in(place) > 18)
    team.processes[1].send_signal(signal.SIGTERM)
    first, second = team.ended()
    assert (first.code, second.code) == (75, 75), first.err + second.err
    run = run_of(place)
    saved = saved_in(place)[-1]
    assert f"stopped by SIGTERM; step {saved} is saved" in first.err
    assert holds(run.checkpoints, saved)
    # Nothing is lost or repeated: the log ends with the saved step.
    steps = [row["step"] for row in read_rows(run.metrics) if "loss" in row]
    assert steps == list(range(1, saved + 1))
    one, together = read_metrics(straight.metrics), read_metrics(run.metrics)
    # Validation ran while the first two processes trained, and while one alone did.
    for name, steps in (("loss", 12), ("validation_bits_per_dim", 6)):
        np.testing.assert_allclose(
            [row[name] for row in together[:steps] if name in row],
            [row[name] for row in one[:steps] if name in row],
            rtol=TOLERANCE,
        )


def test_all_processes_refuse_differing_recipes_and_clips(place: Path) -> None:
    ends = Team(place, of_1="train.seed=5").ended()
    assert [ended.code for ended in ends] == [2, 2]
    for ended in ends:
        assert "process 1 differs from process 0 in its recipe" in ended.err
        assert "Traceback" not in ended.err
    assert not run_of(place).run_file.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ByVariables, SlurmJob])
def test_processes_meet_by_launcher(place: Path, kind: type[Team]) -> None:
    ends = kind(place, "--steps", "2").ended()
    assert [ended.code for ended in ends] == [0, 0], ends[0].err + ends[1].err
    assert "2 x cpu (data 2, shard 1)" in ends[0].err


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_is_noticed_at_once(place: Path, victim: int) -> None:
    team = Team(place, "train.steps=1000000")
    team.until(lambda: bool(saved_in(place)))
    team.kill(victim)
    (other,) = team.ended(1 - victim)
    # jax's own watchdog may be faster than ours: it aborts.
    assert other.code in (76, -signal.SIGABRT), other.err
    if other.code == 76:
        assert "svt: error: another process was lost" in other.err
    saved = saved_in(place)
    assert holds(run_of(place).checkpoints, saved[-1])
    ends = Team(place, "train.steps=1000000", "--steps", f"{saved[-1] + 3}").ended()
    assert [ended.code for ended in ends] == [0, 0]


@pytest.mark.slow
def test_a_stuck_process_ends_all_with_stack_traces(place: Path) -> None:
    words = ("train.steps=1000000", "--patience", "60")
    team = Team(place, *words, programs={1: "tests.faults.stuck"})
    for process, where in enumerate(("loop.py", "stuck.py")):
        (ended,) = team.ended(process)
        # Either watches itself; the one that is faster takes the other with it.
        if "another process was lost" not in ended.err:
            assert f"process {process}: no progress for 60 s" in ended.err
            assert f'{where}", line' in ended.err
        assert ended.code == 76, ended.err
    assert "no progress" in team.said(0) + team.said(1)
    assert rows_in(place) >= 6


@pytest.mark.slow
def test_a_compiler_slower_than_patience_is_not_stuck(place: Path) -> None:
    words = ("--patience", "40", "--steps", "3")
    ends = Team(place, *words, programs={1: "tests.faults.slow_compiler"}).ended()
    assert [ended.code for ended in ends] == [0, 0], ends[0].err + ends[1].err


@pytest.mark.slow
def test_out_of_memory_in_one_process_ends_all(place: Path) -> None:
    team = Team(place, programs={1: "tests.faults.too_large"})
    lost, full = team.ended()
    assert full.code == 1, full.err
    assert "training: the device (cpu) has too little memory (281 TB more" in full.err
    ways = "train.accumulate=2, train.remat=true or mesh.shard=2 needs less and resumes"
    assert f"{ways} from step 5; " in full.err
    assert lost.code in (76, 134), lost.err
    assert saved_in(place) == [5]


@pytest.mark.slow
def test_ctrl_c_in_one_process_stops_all(place: Path) -> None:
    team = Team(place, "train.steps=1000000", "train.save_every=1000")
    team.until(lambda: rows_in(place) > 6)
    team.processes[0].send_signal(signal.SIGINT)
    ends = team.ended()
    assert [ended.code for ended in ends] == [130, 75]
    saved = saved_in(place)[-1]
    assert f"interrupted; step {saved} is saved" in ends[0].err


@pytest.mark.slow
def test_a_loss_that_stays_non_finite_ends_all(place: Path) -> None:
    ends = Team(place, "train.learning_rate=1e30", "train.steps=1000").ended()
    assert [ended.code for ended in ends] == [65, 65], ends[0].err + ends[1].err
    assert "for the 10th time in a row; clips: clip " in ends[0].err


@pytest.mark.slow
def test_a_run_folder_that_is_not_shared_is_refused(place: Path) -> None:
    ends = Team(place, "--patience", "200", of_1="--run elsewhere").ended()
    assert [ended.code for ended in ends] == [2, 2]
    assert "process 1 differs from process 0 in its run.json" in ends[0].err


@pytest.mark.slow
def test_a_run_that_another_process_trains_is_refused_by_all(place: Path) -> None:
    held = Team(place, "train.steps=1000000")
    held.until(lambda: rows_in(place) > 6)
    ends = Team(place, "train.steps=1000000").ended()
    assert [ended.code for ended in ends] == [73, 73]
    assert "in use by process" in ends[0].err
    held.processes[0].send_signal(signal.SIGTERM)
    assert [ended.code for ended in held.ended()] == [75, 75]


@pytest.mark.slow
def test_waiting_for_a_missing_process_ends(
    place: Path,
) -> None:
    team = Team(place, "--patience", "10", count=3)
    team.kill(2)
    first, second = team.ended(0, 1)
    assert first.code == second.code == 76
    assert "not all processes arrived within 10 s" in first.err
    assert "Check failure stack trace" not in first.err
