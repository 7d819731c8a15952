"""R1, R10: kills and stops at any moment do not change the run."""

import random
import signal
from pathlib import Path

import pytest

from tests.faults.faulted_run import Ended, FaultedRun

KILL, TERM = signal.SIGKILL, signal.SIGTERM


def check_stop(ended: Ended, steps: list[int]) -> None:
    """Check that SIGTERM lost no step: the last logged one is the last saved one."""
    if ended.code == 75:
        trained = ended.rows > ended.first_row
        assert ended.saved == (steps[ended.rows - 1] if trained else ended.before)
    else:
        # Before the signals are caught nothing has been done.
        assert ended.code == -TERM
        assert ended.rows == ended.first_row


def faults_at_random(place: Path, signals: list[signal.Signals], seed: int) -> None:
    faulted, draw = FaultedRun(place), random.Random(seed)
    for number in signals:
        ended = faulted.end(number, draw)
        if number == TERM:
            check_stop(ended, faulted.steps_logged())
        else:
            assert ended.code == -KILL
    faulted.finish()
    faulted.train_straight()
    faulted.check()
    assert any(ended.rows > ended.first_row for ended in faulted.ended[:-1])


@pytest.mark.slow
def test_kills_and_stops_at_random_moments_change_nothing(tmp_path: Path) -> None:
    faults_at_random(tmp_path, [KILL, TERM, KILL, TERM, KILL], seed=3)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    faults_at_random(tmp_path, 200 * [KILL], seed=4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_stops_at_random_moments_lose_no_step(tmp_path: Path) -> None:
    faults_at_random(tmp_path, 50 * [TERM], seed=5)
