from collections.abc import Callable

import pytest

from svtcli.training.pace import Pace


def ticking(*times: float) -> Callable[[], float]:
    clock = iter(times)
    return lambda: next(clock)


def test_waiting_for_a_batch_is_told_as_a_share_of_the_time() -> None:
    pace = Pace(4, clock=ticking(0, 1, 3, 8, 8))
    with pace.waiting():
        pass
    pace.step()
    assert pace.read()["input_wait"] == 2 / 8


def test_a_pause_counts_as_no_time_at_all() -> None:
    pace = Pace(4, clock=ticking(0, 1, 91, 95, 95))
    with pace.paused():
        pass
    for _ in range(10):
        pace.step()
    assert pace.read()["steps_per_second"] == 10 / 5


def test_each_reading_starts_anew() -> None:
    pace = Pace(4, clock=ticking(0, 1, 1, 5, 5))
    pace.step()
    assert pace.read()["slices_per_second"] == 4
    pace.step()
    assert pace.read()["slices_per_second"] == 1


def test_use_of_the_chip_is_told_only_where_the_chip_is_known() -> None:
    known = Pace(4, 3e9, 12e9, clock=ticking(0, 2, 2))
    known.step()
    row = known.read()
    assert row["model_flops_per_second"] == 1.5e9
    assert row["mfu"] == pytest.approx(0.125)
    assert known.facts() == {"slices/s": "2", "MFU": "12.5%"}

    unknown = Pace(4, 3e9, None, clock=ticking(0, 2, 2))
    assert unknown.facts() == {}
    unknown.step()
    row = unknown.read()
    assert row["model_flops_per_second"] == 1.5e9
    assert "mfu" not in row
    assert unknown.facts() == {"slices/s": "2"}
