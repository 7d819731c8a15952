"""Partial results: trusted only as they were written, of their own plan."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from svtcli.failure import StorageFailed
from svtcli.run.partial import ArrayTask, PartialResult, Steps


class Squares(PartialResult):
    """Squares of the row numbers; the result is a text file."""

    kind: ClassVar[str] = "squares"

    def found(self) -> str | None:
        return self.out.read_text() if self.out.exists() else None

    def publish(self) -> str | None:
        records = self.gather(np.arange(4))
        if records is None:
            return None
        self.out.parent.mkdir(exist_ok=True)
        self.out.write_text(str(records["square"].tolist()))
        return self.found()

    def complete_rows(self, *rows: int, task: ArrayTask | None = None) -> str | None:
        def compute(stop):
            for row in rows:
                add(self, "all", row)

        steps = Steps(self.found, compute, self.publish)
        return self.complete_task(task, steps) if task else self.complete(steps)


def add(work: PartialResult, group: str, *rows: int) -> None:
    """Rows that tell their number."""
    number = np.array(rows, int)
    pair = np.stack([number * 0.5, number + 0.25], 1)
    work.add(number, group, square=number**2, pair=pair)


@pytest.fixture
def work(tmp_path: Path) -> Squares:
    return Squares(tmp_path / "squares.txt", "a1" * 32)


def test_rows_come_back_in_the_order_asked_for(work):
    assert work.gather(np.array([0])) is None
    add(work, "all", 7, 0)
    assert work.gather(np.array([0, 2, 7])) is None
    add(work, "all", 2, 5)
    add(work, "all", 5)  # twice, as by tasks that overlap
    assert work.finished().tolist() == [0, 2, 5, 7]
    records = work.gather(np.array([7, 0, 2]))
    assert records is not None
    assert records["row"].tolist() == [7, 0, 2]
    assert records["square"].tolist() == [49, 0, 4]
    assert records["pair"].tolist() == [[3.5, 7.25], [0.0, 0.25], [1.0, 2.25]]


def test_groups_are_counted_apart(work):
    add(work, "untrained", 1)
    assert work.finished("trained").tolist() == []
    assert work.gather(np.array([1]), "trained") is None
    assert work.finished("untrained").tolist() == [1]


def test_a_damaged_piece_is_missing_and_removed(work):
    add(work, "all", 0, 1)
    add(work, "all", 2)
    file = max(work.folder.glob("*.npy"), key=lambda path: path.stat().st_size)
    content = file.read_bytes()
    for damaged in (content[:-1], content[:40] + b"?" + content[41:], b""):
        file.write_bytes(damaged)
        assert work.finished().tolist() == [2]
        assert work.gather(np.array([0])) is None
    work.begin()
    assert len(list(work.folder.iterdir())) == 1


def test_pieces_of_another_plan_are_not_used(work):
    add(work, "all", 0)
    other = Squares(work.out, "b2" * 32)
    assert other.finished().tolist() == []
    other.begin()
    assert not list(work.folder.iterdir())


def test_finished_rows_stay_until_the_result_is_complete(work):
    with pytest.raises(StorageFailed, match="does not hold what was written"):
        work.complete_rows(0, 3)
    assert work.finished().tolist() == [0, 3]
    assert work.complete_rows(1, 2) == "[0, 1, 4, 9]"
    assert [path.name for path in work.out.parent.iterdir()] == [work.out.name]


def test_the_last_task_publishes(work):
    tasks = [ArrayTask(index, 2) for index in range(2)]
    assert work.complete_rows(0, 2, task=tasks[0]) is None
    assert work.complete_rows(1, 3, task=tasks[1]) == "[0, 1, 4, 9]"
    assert work.complete_rows(task=tasks[0]) == "[0, 1, 4, 9]"
    assert [path.name for path in work.out.parent.iterdir()] == [work.out.name]


def test_nothing_is_left_behind_without_a_finished_row(tmp_path):
    work = Squares(tmp_path / "not" / "there" / "yet", "a1" * 32)
    with pytest.raises(StorageFailed):
        work.complete_rows()
    assert not list(tmp_path.iterdir())
