"""R8: whatever write fails, the checkpoint before stays, and the save works later.

A limit on the size of files stands for a disk that fills up: the write that passes it
fails inside orbax as well as in svt. Which write that is depends on the limit.
"""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from svtcli.failure import StorageFailed
from svtcli.training.checkpoint import Checkpoints, latest_step
from svtcli.training.state import State, abstract_state
from tests.faults.test_flips import state
from tests.training import toy

# Orbax gives up a failed write without waiting for TensorStore's part in it, which then
# reports to an event loop that is closed.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can be written beyond `size` bytes; Python ignores the signal of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def saved_within(checkpoints: Checkpoints, new: State, limit: int) -> bool:
    """Whether the save worked; a failure is one line that tells what to do."""
    failure = None
    with largest_file(limit):
        try:
            checkpoints.save(new)
            checkpoints.wait()
        except StorageFailed as full:
            failure = full
    if failure is not None:
        assert failure.code == 74
        assert str(checkpoints.folder) in failure.sentence
        assert "\n" not in failure.sentence
        assert "make room" in str(failure.hint)
    return failure is None


def save_on_a_full_disk(folder: Path, limits: list[int]) -> list[bool]:
    """Whether a save worked at each limit; it always does when there is room again."""
    abstract, worked = abstract_state(toy.params(), toy.TRAIN), []
    with Checkpoints(folder, 1, "clips", print) as checkpoints:
        checkpoints.save(state(0))
        checkpoints.wait()
        for i, limit in enumerate(limits):
            before, step = 2 * i, 2 * i + 1
            worked.append(saved_within(checkpoints, state(step), limit))
            assert not any((folder / "unfinished").iterdir())
            newest = step if worked[-1] else before
            assert latest_step(folder) == checkpoints.saved == newest
            assert toy.same(checkpoints.restore(abstract), state(newest))
            checkpoints.save(state(step + 1))
            checkpoints.wait()
            assert toy.same(checkpoints.restore(abstract), state(step + 1))
    assert not (folder / "quarantine").exists()
    return worked


def test_a_full_disk_costs_one_save_and_nothing_else(tmp_path: Path) -> None:
    worked = save_on_a_full_disk(tmp_path / "checkpoints", [0, 300, 1 << 20])
    assert worked == [False, False, True]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_disk_that_is_full_at_any_byte(tmp_path: Path) -> None:
    worked = save_on_a_full_disk(tmp_path / "checkpoints", list(range(0, 6000, 40)))
    assert worked == sorted(worked)  # no limit works below one that does not
    assert worked[-1]


@pytest.mark.slow
def test_any_write_through_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fsync of a save in turn says that the disk is full."""
    abstract = abstract_state(toy.params(), toy.TRAIN)
    real, left = os.fsync, [0]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with Checkpoints(tmp_path, 1, "clips", print) as checkpoints:
        checkpoints.save(state(0))
        checkpoints.wait()
        for nth in range(1, 100):
            left[0] = nth
            checkpoints.save(state(nth))
            with suppress(StorageFailed):
                checkpoints.wait()
            newest = latest_step(tmp_path)
            assert newest is not None
            assert toy.same(checkpoints.restore(abstract), state(newest))
            if left[0] > 0:  # it needs fewer than `nth`
                break
            assert not any((tmp_path / "unfinished").iterdir())
    assert nth > 10
    assert newest == nth
