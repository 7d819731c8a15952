"""Scores that are kept until all clips have one: trusted only as they were written."""

from pathlib import Path

import numpy as np
import pytest

from svtcli.run.partial_nll import KeptNats


@pytest.fixture
def kept(tmp_path: Path) -> KeptNats:
    return KeptNats(tmp_path / "3-test.json", "a1" * 32)


def keep(kept: KeptNats, model: str, *clips: int) -> None:
    """Clips that tell which they are."""
    numbers = np.array(clips)
    kept.keep(model, numbers, np.stack([numbers * 0.5, numbers + 0.25], 1))


def test_clips_come_back_as_they_are_asked_for(kept):
    assert kept.nats("trained", np.array([0])) is None
    keep(kept, "trained", 7, 0)
    assert kept.nats("trained", np.array([0, 2, 7])) is None
    keep(kept, "trained", 2, 5)
    keep(kept, "trained", 5)  # twice, as by tasks that overlap
    assert kept.clips("trained").tolist() == [0, 2, 5, 7]
    nats = kept.nats("trained", np.array([7, 0, 2]))
    assert nats.tolist() == [[3.5, 7.25], [0.0, 0.25], [1.0, 2.25]]


def test_each_model_has_its_own(kept):
    keep(kept, "untrained", 1)
    assert kept.clips("trained").tolist() == []
    assert kept.nats("trained", np.array([1])) is None
    assert kept.clips("untrained").tolist() == [1]


def test_what_is_damaged_is_missing_and_swept_up(kept):
    keep(kept, "trained", 0, 1)
    keep(kept, "trained", 2)
    file = min(kept.folder.glob("*.npy"), key=lambda path: -path.stat().st_size)
    content = file.read_bytes()
    for damaged in (content[:-1], content[:40] + b"?" + content[41:], b""):
        file.write_bytes(damaged)
        assert kept.clips("trained").tolist() == [2]
        assert kept.nats("trained", np.array([0])) is None
    kept.begin()
    assert len(list(kept.folder.iterdir())) == 1


def test_another_plan_has_no_use_for_them(kept):
    keep(kept, "trained", 0)
    other = KeptNats(kept.out, "b2" * 32)
    assert other.clips("trained").tolist() == []
    other.begin()
    assert not list(kept.folder.iterdir())


def test_what_is_kept_stays_when_the_work_is_left(kept):
    with kept.at_work(), kept.alone():
        keep(kept, "trained", 0)
    assert kept.clips("trained").tolist() == [0]
    kept.out.write_text("whole")
    with kept.at_work():
        pass
    assert [path.name for path in kept.out.parent.iterdir()] == [kept.out.name]
