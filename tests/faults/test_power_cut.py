"""R4: after a power cut every file that has its final name is complete."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_rows
from svtcli.train import stage as stage
from tests.faults import moments, system_calls
from tests.faults.faulted_run import PATIENCE, SAVE_EVERY, TRAIN, FaultedRun


def rows_in(metrics: Path) -> list[int]:
    """Steps that have a row."""
    return [int(row["step"]) for row in read_rows(metrics)]


def slow_input(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold back the batch after each save until the checkpoint is in place."""
    prefetch = stage.prefetch

    def slow(batches: Any, start: int) -> Iterator[Any]:
        for step, batch in enumerate(prefetch(batches, start), start):
            if step and step % SAVE_EVERY == 0:
                until = time.monotonic() + PATIENCE
                while not (run.checkpoints / str(step)).exists():
                    assert time.monotonic() < until
                    time.sleep(0.001)
            yield batch

    monkeypatch.setattr(stage, "prefetch", slow)


def test_a_checkpoint_is_never_ahead_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a row would be lost: the resumed run does not repeat its step."""
    faulted = FaultedRun(tmp_path, 2 * SAVE_EVERY + 1)
    run, real = faulted.straight, os.fsync
    safe: list[int] = []
    saved: dict[int, list[int]] = {}

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink() == run.metrics:
            safe[:] = rows_in(run.metrics)
        real(handle)

    def note(operation: str) -> None:
        named = operation.split()
        if named[0] == "os.rename" and named[-1].isdecimal():
            saved[int(named[-1])] = list(safe)

    slow_input(run, monkeypatch)
    monkeypatch.setattr(os, "fsync", fsync)
    moments.listen(note)
    try:
        faulted.train_straight()
    finally:
        moments.listen(None)
    assert sorted(saved) == [5, 10, 11]
    for step, rows in saved.items():
        assert rows == list(range(1, step + 1))


@pytest.mark.skipif(not system_calls.can_trace(), reason="strace cannot be used")
def test_all_bytes_and_names_are_on_the_disk_before_they_count(tmp_path: Path) -> None:
    faulted = FaultedRun(tmp_path, 2 * SAVE_EVERY, "train.keep=1")
    log, disk = tmp_path / "calls", system_calls.Disk(tmp_path)
    faulted.process(system_calls.traced(TRAIN, log)).communicate(timeout=PATIENCE)
    run, seen = faulted.run, []
    for old, new, unsafe in disk.renames(log):
        if run.path in new.parents and run.checkpoints / "unfinished" != new.parent:
            seen.append(str(new.relative_to(run.path)))
            assert unsafe == set(), new
        if new.parent == run.checkpoints:  # the names that lead there
            above = {run.path, run.path.parent, tmp_path}
            assert disk.unsafe & above == set(), new
        if old.parent == run.checkpoints:  # the newer one's name, before it is needed
            assert run.checkpoints not in disk.unsafe, old
    saved = ["checkpoints/5", "checkpoints/10"]
    within = ("orbax", "commit.json", "metrics.end.json")
    assert [name for name in seen if not any(map(name.__contains__, within))] == [
        "recipe.yaml",
        "run.json",
        *saved,
    ]
