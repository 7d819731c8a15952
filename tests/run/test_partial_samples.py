"""Videos that are kept until all are finished: trusted only as they were written."""

from pathlib import Path

import numpy as np
import pytest

from svtcli.run.partial_samples import Finished, KeptSamples


@pytest.fixture
def kept(tmp_path: Path) -> KeptSamples:
    work = KeptSamples(tmp_path / "samples", "this plan")
    work.folder.mkdir()
    return work


def videos(*rows: int) -> Finished:
    """Videos that tell which they are."""
    number = np.array(rows)
    return Finished(
        rows=number,
        video=np.broadcast_to(
            number.astype(np.uint8)[:, None, None, None, None], (len(rows), 2, 1, 1, 1)
        ),
        nats=np.stack([number, number], 1).astype(np.float32),
        passes=number + 1,
        pixels=6,
    )


def test_all_videos_come_back_in_order(kept):
    assert kept.all_of(1) is None
    kept.keep(videos(3, 0))
    assert kept.all_of(4) is None
    kept.keep(videos(1, 2))
    kept.keep(videos(2))  # twice, as by tasks that overlap
    assert list(kept.rows()) == [0, 1, 2, 3]
    made = kept.all_of(4)
    assert made is not None
    assert list(made.video[:, 0, 0, 0, 0]) == [0, 1, 2, 3]
    assert list(made.nats[:, 1]) == [0, 1, 2, 3]
    assert list(made.passes) == [1, 2, 3, 4]
    assert made.pixels_per_pass == 6 * 4 / 10


def test_no_byte_can_change_unseen(kept):
    kept.keep(videos(0))
    (file,) = kept.folder.iterdir()
    content = file.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        assert not len(kept.rows())
    file.write_bytes(content)
    assert list(kept.rows()) == [0]


def test_another_plan_has_no_use_for_them(kept):
    kept.keep(videos(0))
    other = KeptSamples(kept.out, "another plan")
    assert not len(other.rows())
    other.begin()
    assert not list(kept.folder.iterdir())


def test_what_is_kept_stays_when_the_work_is_left(kept):
    with kept.at_work():
        kept.keep(videos(0))
    assert list(kept.rows()) == [0]
    fresh = KeptSamples(kept.out.parent / "not" / "there" / "yet", "this plan")
    with fresh.at_work():
        fresh.folder.mkdir(parents=True)
    assert not (kept.out.parent / "not").exists()
