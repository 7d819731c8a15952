from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.loader import Batch, Passes, prefetch, training_batches
from svtcli.clips.reader import Clips, StoredClips, open_clips
from svtcli.failure import BadData, Refused
from tests.make_clips import MakeClips, clip

LENGTHS = (4, 5, 7)
CHOICES = ((0,), (1, 2, 3), (1, 2, 3), (5, 7))


@pytest.fixture
def clips(make_clips: MakeClips) -> Clips:
    return open_clips(make_clips(LENGTHS, actions=2), "train")


def same(one: Batch, other: Batch) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("video", "slice_index", "clip", "start", "actions")
    )


def test_a_batch_is_a_pure_function_of_its_step(clips: Clips) -> None:
    forward = training_batches(clips, 4, CHOICES, seed=3)
    seen = [forward[step] for step in range(20)]
    again = training_batches(clips, 4, CHOICES, seed=3)
    for step in (19, 0, 7, 7, 3):
        assert same(again[step], seen[step])
    assert not same(seen[0], seen[1])
    other_seed = training_batches(clips, 4, CHOICES, seed=4)
    assert not all(same(other_seed[step], seen[step]) for step in range(5))


def test_a_batch_holds_the_frames_it_names(clips: Clips) -> None:
    batches = training_batches(clips, 4, CHOICES, seed=0, actions=True)
    for step in (0, 1, 1_000_000):
        batch = batches[step]
        assert batch.video.shape == (4, 4, 4, 6, 3)
        assert batch.slice_index.dtype == batch.clip.dtype == batch.start.dtype
        for row in range(4):
            index, start = int(batch.clip[row]), int(batch.start[row])
            video, actions = clip(index, LENGTHS[index], (4, 6, 3), 2)
            assert actions is not None
            assert batch.actions is not None
            np.testing.assert_array_equal(batch.video[row], video[start : start + 4])
            np.testing.assert_array_equal(
                batch.actions[row], actions[start : start + 4]
            )


def test_every_clip_start_and_allowed_slice_is_sampled(clips: Clips) -> None:
    batches = training_batches(clips, 4, CHOICES, seed=0)
    drawn = [batches[step] for step in range(150)]
    crops = {
        (int(clip), int(start))
        for batch in drawn
        for clip, start in zip(batch.clip, batch.start, strict=True)
    }
    assert crops == {(i, s) for i, n in enumerate(LENGTHS) for s in range(n - 4 + 1)}
    for row, choices in enumerate(CHOICES):
        slices = [int(batch.slice_index[row]) for batch in drawn]
        assert set(slices) == set(choices)
        for choice in choices:
            expected = 150 / len(choices)
            assert abs(slices.count(choice) - expected) < 5 * expected**0.5


def test_every_pass_sees_every_clip_once_in_another_order(clips: Clips) -> None:
    batches = training_batches(clips, 4, ((0,),) * 3, seed=0)
    passes = [tuple(batches[step].clip.tolist()) for step in range(12)]
    assert all(sorted(each) == [0, 1, 2] for each in passes)
    assert len(set(passes)) > 2


def test_clip_and_slice_are_independent(clips: Clips) -> None:
    batches = training_batches(clips, 4, ((0, 1),) * 3, seed=0)
    pairs = [
        pair
        for step in range(200)
        for pair in zip(
            batches[step].clip.tolist(), batches[step].slice_index.tolist(), strict=True
        )
    ]
    for pair in {(c, s) for c in range(3) for s in range(2)}:
        assert abs(pairs.count(pair) - 100) < 50


def of_rows(batch: Batch, rows: Sequence[int]) -> Batch:
    picked = {name: part[list(rows)] for name, part in vars(batch).items()}
    return Batch(**picked)


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_hosts_read_their_own_rows_of_what_one_host_would_read(
    clips: Clips, hosts: int
) -> None:
    whole = training_batches(clips, 4, CHOICES, seed=3, actions=True)
    each = 4 // hosts
    shares = [range(host * each, (host + 1) * each) for host in range(hosts)]
    for rows in [*shares, (0, 3)]:
        mine = training_batches(clips, 4, CHOICES, seed=3, actions=True, own=rows)
        for step in (0, 7, 8, 1_000_000):
            assert len(mine[step].video) == len(rows)
            assert same(mine[step], of_rows(whole[step], rows))


@pytest.mark.parametrize("count", [1, 2, 5, 1000])
def test_every_pass_is_an_order_of_its_own_and_orders_are_equally_likely(
    count: int,
) -> None:
    passes = Passes(count, seed=-1)
    orders = [tuple(passes[p * count + i] for i in range(count)) for p in range(60)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    assert len(set(orders)) >= {1: 1, 2: 2, 5: 40, 1000: 60}[count]
    firsts = [Passes(3, seed)[9] for seed in range(900)]
    assert all(250 < firsts.count(clip) < 350 for clip in range(3))


def test_reading_ahead_gives_the_same_batches(clips: Clips) -> None:
    batches = training_batches(clips, 4, CHOICES, seed=1)
    for depth in (1, 3):
        ahead = islice(prefetch(batches, start_step=5, depth=depth), 6)
        for step, batch in enumerate(ahead, 5):
            assert same(batch, batches[step])


def test_an_error_in_the_thread_reaches_the_step_it_belongs_to(clips: Clips) -> None:
    class Torn(StoredClips):
        def read(
            self, index: int, start: int = 0, frames: int | None = None
        ) -> np.ndarray:
            if index == 2:
                raise BadData("torn")
            return super().read(index, start, frames)

    torn = Torn(**clips.__dict__)
    batches = training_batches(torn, 4, ((0,),), seed=0)
    order = [
        int(training_batches(clips, 4, ((0,),), seed=0)[step].clip[0])
        for step in range(4)
    ]
    ahead = prefetch(batches, 0)
    for _ in range(order.index(2)):
        next(ahead)
    with pytest.raises(BadData, match="torn"):
        next(ahead)


def test_a_clip_shorter_than_the_model_is_refused_by_name(clips: Clips) -> None:
    with pytest.raises(Refused, match=r"2 of 3 clips in 'train'.*clip 0 with 4"):
        training_batches(clips, 6, CHOICES, seed=0)


def test_a_split_without_clips_is_bad_data(clips: Clips, tmp_path: Path) -> None:
    none = np.zeros(0, np.int64)
    empty = replace(
        clips,
        lengths=none,
        shard_of=none,
        offsets=none,
        checksums=none.astype(np.uint32),
        intact=none.astype(bool),
        facts=(),
    )
    with pytest.raises(BadData, match="holds no clips"):
        training_batches(empty, 4, CHOICES, seed=0)
