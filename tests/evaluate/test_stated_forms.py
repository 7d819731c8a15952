"""Arrays of another layout or range, read as they are stated."""

import re
from pathlib import Path

import numpy as np
import pytest

from svtcli.evaluate.foreign import arrays, open_videos
from svtcli.failure import BadData, Refused
from svtcli.video.array_layout import ArrayForm
from tests.evaluate.test_foreign_wrong import GOOD, UNIT, said_of
from tests.evaluate.video_kinds import npy, samples


@pytest.mark.parametrize(
    ("wrong", "clips"),
    [
        (np.moveaxis(GOOD, -1, 2), 2),
        (np.moveaxis(2 * UNIT - 1, -1, 1), 2),
        (UNIT.astype(np.float64), 2),
        (GOOD.astype(np.int16), 2),
        (GOOD[0], 1),
    ],
)
def test_the_suggested_flags_restore_the_videos(
    tmp_path: Path, wrong: np.ndarray, clips: int
) -> None:
    source = npy(tmp_path / "x", wrong)
    failure, _ = said_of(source)
    flags = (failure.hint or "").removeprefix("state it: --").split(" --")
    opened = open_videos(
        source, stated=ArrayForm(**dict(each.split() for each in flags))
    )
    np.testing.assert_array_equal(opened.read(np.arange(opened.count)), GOOD[:clips])


@pytest.mark.parametrize(
    ("how", "eps"), [("x.transpose(0, 1, 3, 4, 2)", 0), ("(255 * x).round()", 1)]
)
def test_an_array_in_memory_comes_with_a_line_of_numpy(how: str, eps: int) -> None:
    wrong = UNIT if eps else np.moveaxis(GOOD, -1, 2)
    with pytest.raises(Refused) as caught:
        arrays.videos_of_array(wrong, "samples")
    line = (caught.value.hint or "").partition(": ")[2]
    assert how in line
    np.testing.assert_array_equal(eval(line, {"x": wrong, "np": np}), GOOD)


@pytest.mark.parametrize(
    ("array", "stated", "sentence"),
    [
        (UNIT, {"layout": "NTHW"}, r"\[2, 4, 6, 8, 3\], and \[N, T, H, W\]"),
        (GOOD, {"layout": "NTCHW"}, r"thus 6 channels by \[N, T, C, H, W\]"),
        (GOOD, {"range": "0..1"}, r"are uint8, and \d+ is outside of 0..1"),
        (2 * UNIT, {"range": "0..1"}, "is outside of 0..1"),
        (np.where(GOOD > 4, UNIT, np.nan), {"range": "0..1"}, "nan is not a number"),
    ],
)
def test_an_array_that_is_not_as_stated_is_refused(
    tmp_path: Path, array: np.ndarray, stated: dict[str, str], sentence: str
) -> None:
    failure, said = said_of(npy(tmp_path / "x", array), stated=ArrayForm(**stated))
    assert isinstance(failure, Refused)
    assert re.search(sentence, said)


def test_numbers_behind_the_first_ones_are_checked_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "LOOK", 64)
    wrong = UNIT.copy()
    wrong[1, 2, 3, 4, 0] = 1.2
    source = npy(tmp_path / "x", wrong)
    opened = open_videos(source, stated=ArrayForm(range="0..1"))
    assert (opened.read(np.array([0])) == GOOD[0]).all()
    with pytest.raises(BadData, match=r"1.2 is outside of 0..1 in frame 2 of video 1"):
        opened.read(np.array([0, 1]))


@pytest.mark.parametrize("layout", ["NTHWX", "NTTHW", "NCHW", "", "nthwc"])
def test_a_layout_names_each_axis_once(layout: str) -> None:
    with pytest.raises(Refused, match="not the axes of videos"):
        ArrayForm(layout)


def test_a_form_is_stated_of_arrays_alone(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"gone.npy: no such file"):
        open_videos("gone.npy", stated=ArrayForm("NTHWC"))
    made = samples(tmp_path / "made", GOOD)
    for side, flag in (("--", "--layout"), ("--reference-", "--reference-layout")):
        with pytest.raises(Refused, match=f"{flag} NTHWC: .* is no .npy"):
            open_videos(made, stated=ArrayForm("NTHWC", prefix=side))
