"""R10: a stop request at any moment loses no step."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from svtcli.failure import Stopped
from svtcli.run.metrics_log import read_metrics, read_rows
from svtcli.train import stage as stage
from svtcli.train.checkpoint import Checkpoints
from svtcli.train.validate import Validation
from tests.faults.faulted_run import SAVE_EVERY, FaultedRun, compiled_once

MOMENTS: dict[str, tuple[Any, str]] = {
    "it looks at clips and run": (stage, "plan_training"),
    "it compiles": (stage, "jit_update"),
    "it restores": (Checkpoints, "restore"),
    "it saves": (Checkpoints, "save"),
    "it validates": (Validation, "of"),
}
LAST = 2 * SAVE_EVERY + 2


@pytest.fixture(scope="module")
def faulted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultedRun]:
    """Run that is validated whenever a checkpoint is saved."""
    place = tmp_path_factory.mktemp("stopped")
    faulted = FaultedRun(place, LAST, f"train.validate_every={SAVE_EVERY}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "jit_update", compiled_once(stage.jit_update))
        faulted.train_straight()
        yield faulted


def interrupted(real: Callable[..., Any], number: signal.Signals) -> Callable[..., Any]:
    """Wrap a function: a signal arrives in the middle of its first call."""
    times = 0

    def then(*arguments: Any, **named: Any) -> Any:
        nonlocal times
        times += 1
        if times == 1:
            os.kill(os.getpid(), number)
        return real(*arguments, **named)

    return then


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stop_at_any_moment_loses_nothing(
    faulted: FaultedRun, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = faulted.folder(moment.replace(" ", "-"))
    # First Ctrl-C in a new run, then SIGTERM in the resumed one.
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 75)):
        with monkeypatch.context() as patch:
            place, name = MOMENTS[moment]
            patch.setattr(place, name, interrupted(getattr(place, name), number))
            with pytest.raises(Stopped) as stopped:
                faulted.train_here(run)
        assert stopped.value.code == code
        steps = [int(row["step"]) for row in read_metrics(run.metrics)]
        assert run.steps()[-1:] == tuple(steps[-1:])  # what was done is saved
    faulted.train_here(run)
    faulted.check_as_straight(run)
    assert written(run.metrics) == written(faulted.straight.metrics)


def written(metrics: Path) -> list[str]:
    """Kind and step of each line, including lines that a stop may have repeated."""
    return [
        f"{row['step']} {row.get('validation_bits_per_dim', row.get('loss'))}"
        for row in read_rows(metrics)
    ]
