"""Shards: few files are spread over many, and many files keep the size of theirs."""

import pytest

from svtcli.prepare.plan import group_tasks
from tests.prepare.test_workers import Job


@pytest.mark.parametrize(
    ("tasks", "most", "sizes"),
    [
        (0, 64, []),
        (24, 64, [1] * 24),
        (79, 64, [1] * 79),
        (101, 64, [2] * 50 + [1]),
        (2559, 64, [63] * 40 + [39]),
        (2560, 64, [64] * 40),
        (400_000, 64, [64] * 6250),
        (170, 4, [4] * 42 + [2]),  # the files of BAIR
    ],
)
def test_there_are_forty_shards_or_as_many_as_tasks(
    tasks: int, most: int, sizes: list[int]
) -> None:
    jobs = [Job(f"{number}") for number in range(tasks)]
    groups = group_tasks(jobs, most, "train")
    assert [len(group.tasks) for group in groups] == sizes
    assert [task for group in groups for task in group.tasks] == jobs
    if groups:
        assert groups[-1].name == f"train-{len(sizes) - 1:05d}-of-{len(sizes):05d}"
