"""Checkpoints that are read while their training deletes old ones."""

import errno
import fcntl
import shutil
from pathlib import Path

import pytest

from svtcli.failure import StorageFailed
from svtcli.run.directory import RunFolder, write_run
from svtcli.train import commit_record
from svtcli.train.checkpoint import Checkpoints, restore_params
from svtcli.train.commit_record import RECORD, Held, open_checkpoint, steps_in
from tests.train import tiny_run, toy
from tests.train.test_checkpoint import at


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run without a checkpoint yet."""
    run = RunFolder(tmp_path / "run")
    loaded = tiny_run.loaded(tiny_run.write_recipe(tmp_path, tmp_path / "clips"))
    write_run(run, loaded, devices=["cpu"], data_fingerprint="")
    return run


def train(run: RunFolder, *steps: int, keep: int = 1) -> None:
    with Checkpoints(run.checkpoints, keep, "clips", print) as checkpoints:
        for step in steps:
            checkpoints.save(at(step))


def test_a_checkpoint_that_is_open_is_kept_until_it_is_not(run: RunFolder) -> None:
    train(run, 1)
    first, again = open_checkpoint(run), open_checkpoint(run)
    train(run, 2, 3)
    assert first.step == again.step == 1
    assert steps_in(run.checkpoints) == [1, 3]
    restore_params(run.checkpoints, 1, toy.params())
    del first
    train(run, 4)
    assert steps_in(run.checkpoints) == [1, 4]
    del again
    train(run, 5)
    assert steps_in(run.checkpoints) == [5]


def test_without_locks_the_newest_are_kept(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    train(run, 1)
    first = open_checkpoint(run)
    train(run, 2)
    assert steps_in(run.checkpoints) == [2]
    with pytest.raises(StorageFailed) as caught:
        restore_params(run.checkpoints, first.step, toy.params())
    assert str(caught.value) == (
        f"{run.checkpoints / '1'}: deleted by its training, which keeps only the "
        "newest checkpoints"
    )


def test_the_next_newest_is_taken_where_the_newest_is_being_deleted(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run, 1)

    def deleted_before(record: Path) -> Held:
        monkeypatch.undo()
        train(run, 2)
        return Held(record)

    monkeypatch.setattr(commit_record, "Held", deleted_before)
    assert open_checkpoint(run).step == 2


def test_a_step_that_was_deleted_is_said_to_be(run: RunFolder) -> None:
    train(run, 1, 2)
    with pytest.raises(StorageFailed, match="/1: deleted by its training"):
        open_checkpoint(run, 1)


def test_a_newest_checkpoint_without_record_is_named(run: RunFolder) -> None:
    train(run, 100, 200, 300, keep=3)
    (run.checkpoints / "300" / RECORD).unlink()
    lines: list[str] = []
    assert open_checkpoint(run, note=lines.append).step == 200
    skipped = "checkpoint 300 has no commit.json and is skipped; using 200"
    assert lines == [f"{run.checkpoints}: {skipped}"]
    with pytest.raises(
        StorageFailed, match=r"300: damaged checkpoint: commit\.json is"
    ):
        open_checkpoint(run, 300)
    shutil.rmtree(run.checkpoints / "200")
    shutil.rmtree(run.checkpoints / "100")
    with pytest.raises(StorageFailed, match=r"damaged checkpoint: commit\.json is"):
        open_checkpoint(run)
