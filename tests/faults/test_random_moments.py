"""R1, R10: kills and stops at any moment do not change the run."""

import random
import signal
from pathlib import Path

import pytest

from svtcli.run.signals import CODES, SENTENCES
from tests.faults.faulted_run import Ended, FaultedRun

KILL, TERM = signal.SIGKILL, signal.SIGTERM
STOPS = list(CODES)


def check_stop(ended: Ended, number: signal.Signals, steps: list[int]) -> None:
    """Check that a signal lost no step: the last logged one is the last saved one."""
    trained = ended.rows > ended.first_row
    assert ended.saved == (steps[ended.rows - 1] if trained else ended.before)
    assert ended.code == CODES[number] or not (ended.caught or trained), ended.said
    if ended.caught:
        assert SENTENCES[number] in ended.said
        assert "Exception" not in ended.said, ended.said


def faults_at_random(place: Path, signals: list[signal.Signals], seed: int) -> None:
    faulted, draw = FaultedRun(place), random.Random(seed)
    for number in signals:
        ended = faulted.end(number, draw)
        if number == KILL:
            assert ended.code == -KILL
        else:
            check_stop(ended, number, faulted.steps_logged())
    faulted.finish()
    faulted.train_straight()
    faulted.check()
    early = sum(ended.rows == ended.first_row for ended in faulted.ended)
    uncaught = sum(not ended.caught for ended in faulted.ended)
    print(f"{len(signals)} signals, {early} before a step, {uncaught} before Python")
    assert early < len(signals)


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
    faults_at_random(tmp_path, 20 * STOPS, seed=5)
