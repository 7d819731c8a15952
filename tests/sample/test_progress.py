"""Progress of sampling counts only the videos of this call."""

from collections.abc import Mapping

import numpy as np

from svtcli.cli.progress import TqdmProgress
from svtcli.run.progress import Silent
from svtcli.sample.stage import SamplingClock


class Told(Silent):
    """Every update."""

    def __init__(self) -> None:
        self.updates: list[tuple[int, dict[str, str]]] = []

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        self.updates.append((done, dict(facts or {})))


class Time:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def slices(clock: SamplingClock, time: Time, seconds: list[float]) -> None:
    """Eight positions of each of two videos, in four passes and in eight."""
    for each in seconds:
        time.now += each
        clock.slice_done(8, np.array([4, 8]))


def test_rates_leave_out_compilation():
    time = Time()
    told = Told()
    clock = SamplingClock(told, 4, pixels_per_slice=16.0, programs=1, seconds=time)
    clock.begin_batch(3, 4, 8)
    slices(clock, time, [60, 2, 2, 4])
    facts = {"videos": "3 to 4 of 8", "pixels/pass": "1.3"}
    assert told.updates == [
        (1, facts),
        (2, {**facts, "pixels/s": "8"}),
        (3, {**facts, "pixels/s": "8"}),
        (4, {**facts, "pixels/s": "6"}),
    ]


def test_rates_leave_out_the_compilation_of_two_programs(capfd, monkeypatch):
    """A first slice with a decoder of its own; the time left is told rightly too."""
    time = Time()
    monkeypatch.setattr("tqdm.std.time", time)
    lines = TqdmProgress(live=False)
    clock = SamplingClock(lines, 6, 16.0, programs=2, seconds=time)
    clock.begin_batch(1, 2, 2)
    slices(clock, time, [60, 40, 2, 2, 2, 2])
    note, begun, *lines = capfd.readouterr().err.splitlines()
    assert (note, begun) == (
        "compiling the sampler (once per batch and slice shape)",
        "sample",
    )
    rest = " 2.00s/slice, videos 1 to 2 of 2, pixels/s 8, pixels/pass 1.3]"
    assert lines[0] == f"sample:  50% 3/6 [00:02<00:06, {rest}"
    assert lines[1] == f"sample:  67% 4/6 [00:04<00:04, {rest}"
    assert lines[-1] == f"sample: 100% 6/6 [00:08<00:00, {rest}"
