"""R8: whichever write fails, the previous checkpoint stays, and a later save works.

A limit on the size of files stands for a disk that fills up: the write that passes it
fails inside orbax as well as in svt. Which write that is depends on the limit.
"""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from svtcli.cli.console import explain
from svtcli.failure import StorageFailed
from svtcli.run.samples import SampleFacts, Samples, read_samples, write_samples
from svtcli.train import stage as stage
from svtcli.train.checkpoint import Checkpoints
from svtcli.train.commit_record import latest_step
from svtcli.train.state import State, abstract_state
from tests.faults.faulted_run import FaultedRun, compiled_once
from tests.faults.test_flips import state
from tests.train import toy

COMPILER = shutil.which("cc")
# Orbax gives up a failed write without waiting for TensorStore's part in it, which then
# reports to an event loop that is closed.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limit files to `size` bytes; Python ignores the signal for larger ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def saved_within(checkpoints: Checkpoints, new: State, limit: int) -> bool:
    """Return True if the save worked; otherwise check its error message."""
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
        assert "allow larger files" in str(failure.hint)
    return failure is None


def save_on_a_full_disk(folder: Path, limits: list[int]) -> list[bool]:
    """Save at each limit, and again without one; return which saves worked."""
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


def test_a_full_disk_costs_only_one_save(tmp_path: Path) -> None:
    worked = save_on_a_full_disk(tmp_path / "checkpoints", [0, 300, 1 << 20])
    assert worked == [False, False, True]


@pytest.mark.parametrize(
    ("limit", "file"), [(0, ".lock"), (100, "recipe.yaml"), (2000, "metrics.jsonl")]
)
def test_the_error_of_a_full_disk_names_the_file(
    faulted: FaultedRun, limit: int, file: str
) -> None:
    run = faulted.folder(str(limit))
    with largest_file(limit), pytest.raises(OSError, match="too large") as full:
        faulted.train_here(run)
    sentence, hint, code = explain(full.value)
    assert (sentence, code) == (f"{run.path / file}: File too large", 74)
    assert "allow larger files" in str(hint)
    faulted.train_here(run)
    faulted.check_as_straight(run)
    assert not list(run.path.glob("*.part"))


@pytest.fixture(scope="module")
def faulted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultedRun]:
    """The first checkpoint is that of the last step, after 2000 bytes of rows."""
    faulted = FaultedRun(tmp_path_factory.mktemp("full"), 12, "train.save_every=100")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "jit_update", compiled_once(stage.jit_update))
        faulted.train_straight()
        yield faulted


def test_samples_on_a_full_disk_have_no_samples_json(tmp_path: Path) -> None:
    video = np.zeros((2, 3, 4, 4, 4, 3), np.uint8)
    log_prob = np.zeros((2, 3, 4), np.float32)
    facts = SampleFacts(
        run="run", step=1, prime=1, frames=4, overlap=1, clips=("a", "b")
    )
    samples = Samples(video, video[:, 0], log_prob, facts)
    for limit in (0, 100, 200, 400):  # within: a header, another, numbers, the facts
        with largest_file(limit), pytest.raises(OSError, match="too large") as full:
            write_samples(tmp_path, samples)
        assert str(full.value.filename).startswith(str(tmp_path))
        assert not (tmp_path / "samples.json").exists()
    write_samples(tmp_path, samples)
    assert (read_samples(tmp_path).video == video).all()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
def test_a_disk_that_fills_up_before_any_write(tmp_path: Path) -> None:
    """Count the writes of Python and of TensorStore in a process of its own."""
    here, library = Path(__file__).parent, tmp_path / "filling_disk.so"
    source = here / "filling_disk.c"
    made = (str(COMPILER), "-shared", "-fPIC", "-o", str(library), str(source), "-ldl")
    subprocess.run(made, check=True)
    done = subprocess.run(
        (sys.executable, "-m", "tests.faults.filling_disk", str(tmp_path), library),
        cwd=here.parents[1],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_disk_that_fills_up_at_any_byte(tmp_path: Path) -> None:
    worked = save_on_a_full_disk(tmp_path / "checkpoints", list(range(0, 6000, 40)))
    assert worked == sorted(worked)  # no limit works below one that does not
    assert worked[-1]


@pytest.mark.slow
def test_any_fsync_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail each fsync of a save in turn, as on a full disk."""
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
