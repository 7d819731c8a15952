"""Rows of two kinds over simulated devices; jax with these is a process of its own."""

import pytest

from svtcli.train.mesh import first_of_each
from tests.train.on_devices import on_devices


@pytest.mark.parametrize(
    ("first", "rows", "devices", "each"),
    [
        (16, 256, 128, (2,) * 8 + (0,) * 120),
        (4, 64, 8, (4,) + (0,) * 7),
        (3, 8, 4, (2, 1, 0, 0)),
        (7, 8, 2, (4, 3)),
        (1, 4, 1, (1,)),
    ],
    ids=str,
)
def test_first_rows_are_counted_for_each_device(
    first: int, rows: int, devices: int, each: tuple[int, ...]
) -> None:
    assert first_of_each(first, rows, devices) == each


def test_devices_with_rows_of_their_own_kind_sum_to_the_result_of_one() -> None:
    """Value and gradient, for devices with first rows only, with some, with none."""
    (found,), _ = on_devices(8, "mixed_batch_worker")
    for case in found:
        assert case["value"] == pytest.approx(case["alone"], rel=1e-6), case
        assert case["gradient"] < 1e-6, case
        assert case["branches"] == case["kinds"], case
        # One sum for the value and the gradient, and nothing that moves rows.
        assert case["moved"] == {"all-reduce": 1}, case
    assert sorted({case["kinds"] for case in found}) == [2, 3]
