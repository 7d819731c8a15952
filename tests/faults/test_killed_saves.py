"""R2: a kill at any moment of a save does not change the run.

In CI a copy of the run's folder stands for a kill: it is taken at the moment, from
within, and holds what a killed process would have left. The real kills are slow.
"""

import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from svtcli.run.directory import RunFolder
from svtcli.train import stage as stage
from svtcli.train.commit_record import latest_step
from tests.faults import moments
from tests.faults.faulted_run import ENDLESS, SAVE_EVERY, FaultedRun, compiled_once

SECOND, LAST = 2 * SAVE_EVERY, 2 * SAVE_EVERY + 2


def left_at_each_moment(faulted: FaultedRun) -> dict[str, RunFolder]:
    """Train undisturbed; copy what a kill at each moment of the second save leaves."""
    left: dict[str, RunFolder] = {}

    def copy(operation: str) -> None:
        moment = moments.moment_of(operation, SECOND)
        # Some sound alike in the first save.
        begun = left or moment == next(iter(moments.MOMENTS))
        if moment is not None and begun and moment not in left:
            left[moment] = RunFolder(faulted.place / "killed" / str(len(left)))
            copy_what_is_there(faulted.straight.path, left[moment].path)

    moments.listen(copy)
    try:
        faulted.train_straight()
    finally:
        moments.listen(None)
    return left


def copy_what_is_there(folder: Path, place: Path) -> None:
    """Copy a folder in which other threads write and rename at the same time."""

    def copy(one: str, other: str) -> None:
        with suppress(FileNotFoundError):
            shutil.copyfile(one, other)

    shutil.copytree(folder, place, copy_function=copy)


def test_a_kill_at_each_moment_of_a_save_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "jit_update", compiled_once(stage.jit_update))
    faulted = FaultedRun(tmp_path, LAST, "train.keep=1")
    left = left_at_each_moment(faulted)
    assert set(left) == set(moments.MOMENTS)
    for moment, run in left.items():
        newest = SECOND if moment in moments.PLACED else SAVE_EVERY
        assert latest_step(run.checkpoints) == newest, moment
        faulted.train_here(run)
        faulted.check_as_straight(run)
        assert files(run) == files(faulted.straight), moment


def files(run: RunFolder) -> set[str]:
    """Files of a run, except those that TensorStore names randomly."""
    found = (path.relative_to(run.path) for path in run.path.rglob("*"))
    return {str(path) for path in found if "d" not in path.parts[:-1]}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_before_any_operation_of_a_save_changes_nothing(tmp_path: Path) -> None:
    faulted = FaultedRun(tmp_path, ENDLESS, "train.keep=1")
    met: list[str | None] = []
    operation = 0
    while len(met) == operation:  # until a save has fewer
        operation += 1
        first, second = (faulted.saved() + n * SAVE_EVERY for n in (1, 2))
        program = (sys.executable, moments.__file__, str(operation), str(first))
        process = faulted.process((*program, "train"))
        ended = faulted.note_end(
            process, len(faulted.steps_logged()), first - SAVE_EVERY
        )
        assert ended.code == -signal.SIGKILL
        step, _, told = ended.out.partition(" ")
        if int(step) == second:
            moment = moments.moment_of(told, second)
            met.append(moment)
            assert ended.saved in (first, second)
            assert moment not in moments.PLACED or ended.saved == second
    faulted.finish()
    faulted.train_straight()
    faulted.check()
    assert set(met) >= set(moments.MOMENTS)
