"""Which rows are computed together, and that what fills a batch up is no result."""

import numpy as np
import pytest

from svtcli.clips.held_out import full_batches
from svtcli.run.samples import read_samples
from svtcli.sample import stage as sample
from tests.cli.terminal import svt_here

pytestmark = pytest.mark.usefixtures("kept_programs")


@pytest.mark.parametrize(
    ("asked", "batches"),
    [
        ({"rows": 5, "size": 2}, [[0, 1], [2, 3], [4, 0]]),
        ({"rows": 3, "size": 9, "devices": 2}, [[0, 1, 2, 0]]),
        ({"rows": 1, "size": 9, "rest_of": 4}, [[0, 0, 0, 0]]),
        ({"rows": 1, "size": 9, "least": 2}, [[0, 0]]),
        ({"rows": 3, "size": 1, "least": 2}, [[0, 1], [2, 0]]),
        ({"rows": 3, "size": 3, "devices": 3, "least": 2}, [[0, 1, 2, 0, 1, 2]]),
        ({"rows": 4, "size": 4, "least": 2}, [[0, 1, 2, 3]]),
    ],
)
def test_batches_are_full(asked, batches):
    assert [rows.tolist() for rows in full_batches(**asked)] == batches


def test_one_video_is_the_same_where_a_device_makes_two_at_least(
    place, capfd, monkeypatch
):
    asked = ("sample", "mine", "--count", "1", "--out")
    assert sample._least_rows() == 1  # a CPU
    assert svt_here(capfd, *asked, "alone").code == 0
    monkeypatch.setattr(sample, "_least_rows", lambda: 2)
    assert svt_here(capfd, *asked, "beside").code == 0
    alone, beside = (read_samples(place / name) for name in ("alone", "beside"))
    assert alone.video.shape == beside.video.shape == (1, 1, 4, 4, 4, 3)
    assert (alone.video == beside.video).all()
    np.testing.assert_allclose(alone.log_prob, beside.log_prob, rtol=1e-5)
