from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.failure import BadData
from svtcli.recipe.schema import Train
from svtcli.run.metrics_log import MetricsLog, read_metrics
from svtcli.run.progress import Silent
from svtcli.train.step import Metrics
from svtcli.train.step_log import MAX_BAD_STEPS, StepLog, Throughput

IDS = [f"clip {i}" for i in range(9)]


class Terminal(Silent):
    def __init__(self) -> None:
        self.seen: list[tuple[int, dict[str, str] | None]] = []
        self.lines: list[str] = []

    def advance(self, done, facts=None) -> None:
        self.seen.append((done, facts))

    def note(self, line) -> None:
        self.lines.append(line)


def clips_of(step: int) -> list[str]:
    """Three rows for the first steps, more for the last ones."""
    return [f"clip {i}" for i in ((3, 1, 3) if step <= 30 else range(8))]


def metrics(loss: float, finite: bool = True) -> Metrics:
    loss_ = jnp.float32(loss)
    return Metrics(loss_, loss_ * 2, jnp.float32(0.1), loss_ * 3, jnp.asarray(finite))


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def log(tmp_path: Path):
    with MetricsLog(tmp_path / "metrics.jsonl") as log:
        yield log


def test_metrics_are_read_one_step_late(terminal, log, tmp_path) -> None:
    step_log = StepLog(Train(log_every=1), "bits_per_dim", clips_of, log, terminal)
    step_log.sent(1, metrics(1.0))
    assert terminal.seen == []
    step_log.sent(2, metrics(2.0))
    assert [step for step, _ in terminal.seen] == [1]
    assert terminal.seen[0][1]["bits/dim"] == "2.000"
    step_log.flush()
    step_log.flush()
    assert [step for step, _ in terminal.seen] == [1, 2]
    assert terminal.seen[1][1]["bits/dim"] == "4.000"
    assert [row["loss"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]


def test_nats_per_frame_have_their_own_name_and_digits(terminal, log, tmp_path) -> None:
    step_log = StepLog(Train(log_every=1), "nats_per_frame", clips_of, log, terminal)
    step_log.sent(1, metrics(45.0))
    step_log.flush()
    assert terminal.seen[0][1]["nats/frame"] == "90.0"
    assert read_metrics(tmp_path / "metrics.jsonl")[0]["nats_per_frame"] == 90


def test_a_row_has_the_speed_since_the_previous_row(terminal, log, tmp_path) -> None:
    clock = iter([10.0, 12.0, 12.0, 22.0, 22.0])
    throughput = Throughput(8, clock=lambda: next(clock))
    step_log = StepLog(
        Train(log_every=5, batch=8), "bits_per_dim", clips_of, log, terminal, throughput
    )
    for step in range(3, 13):  # a resumed run: its first row is after three steps
        step_log.sent(step, metrics(1.0))
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [5, 10]
    assert [row["steps_per_second"] for row in rows] == [3 / 2, 5 / 10]
    assert [row["slices_per_second"] for row in rows] == [12, 4]
    assert terminal.seen[-1] == (11, {"bits/dim": "2.000", "slices/s": "4"})


def test_a_validation_has_its_own_row_and_stays_on_the_progress_bar(
    terminal, log, tmp_path
) -> None:
    step_log = StepLog(Train(log_every=1), "bits_per_dim", clips_of, log, terminal)
    step_log.sent(1, metrics(1.0))
    step_log.flush()
    step_log.validated(1, 3.25)
    step_log.validated(2, None)  # cut short by a signal
    step_log.sent(2, metrics(1.0))
    step_log.flush()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row.get("validation_bits_per_dim") for row in rows] == [3.25, None]
    assert [row["loss"] for row in rows] == [1, 1]
    assert terminal.lines == ["step 1: validation 3.250 bits/dim"]
    assert terminal.seen[-1][1]["validation"] == "3.250"


def test_bad_steps_are_named_and_only_ten_in_a_row_end_the_run(terminal, log) -> None:
    step_log = StepLog(Train(), "bits_per_dim", clips_of, log, terminal)
    step = 0
    for _ in range(3):  # nine bad ones, a good one, and again
        for _ in range(MAX_BAD_STEPS - 1):
            step += 1
            step_log.sent(step, metrics(np.nan, finite=False))
        step += 1
        step_log.sent(step, metrics(1.0))
    step_log.flush()
    assert terminal.lines[0] == (
        "step 1: the loss is not finite; skipped; clips: clip 1, clip 3"
    )
    assert len(terminal.lines) == 27
    for _ in range(MAX_BAD_STEPS - 1):
        step += 1
        step_log.sent(step, metrics(1.0, finite=False))
    step_log.sent(step + 1, metrics(1.0, finite=False))
    with pytest.raises(BadData) as bad:
        step_log.flush()
    assert f"step {step + 1}: the gradient is not finite for the 10th" in str(bad.value)
    assert "clip 0, clip 1, clip 2, clip 3, clip 4 and 3 more" in str(bad.value)


def test_the_row_of_a_bad_step_keeps_the_log_readable(terminal, log, tmp_path) -> None:
    step_log = StepLog(Train(log_every=1), "bits_per_dim", clips_of, log, terminal)
    step_log.sent(1, metrics(1.0))
    step_log.sent(2, metrics(np.nan, finite=False))
    step_log.flush()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert np.isnan(rows[1]["loss"])
    assert step_log.score == 2.0  # of the step before
