"""Temporal statistics: cases in closed form, and samples beside clips."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from svtcli.evaluate import metrics as table
from svtcli.evaluate.foreign.arrays import videos_of_array
from svtcli.evaluate.measure import measure
from svtcli.evaluate.plan import plan_metrics
from svtcli.evaluate.results import metric_rows
from svtcli.evaluate.temporal import difference, flicker, warping
from svtcli.failure import Refused
from svtcli.recipe.schema import Compare
from svtcli.run.progress import Silent


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_difference_and_flicker_equal_loops_over_pixels():
    video = noise(2, 5, 6, 7, 3)
    x = video.astype(np.float64)
    for n in range(2):
        steps = [np.mean(abs(x[n, t] - x[n, t - 1])) for t in range(1, 5)]
        assert difference(video)[n] == pytest.approx(steps)
        bends = [
            np.mean(abs(x[n, t - 1] - (x[n, t] + x[n, t - 2]) / 2)) for t in range(2, 5)
        ]
        assert flicker(video)[n] == pytest.approx(bends)


def test_steady_change_is_no_flicker_and_alternation_is():
    steady = (
        np.full((5, 4, 4, 3), 10, np.uint8)
        * np.arange(5, dtype=np.uint8)[:, None, None, None]
    )
    assert difference(steady).tolist() == [10] * 4
    assert flicker(steady).tolist() == [0] * 3
    alternating = np.zeros((4, 4, 4, 1), np.uint8)
    alternating[1::2] = 255
    assert difference(alternating).tolist() == [255] * 3
    assert flicker(alternating).tolist() == [255] * 2


@pytest.fixture(scope="module")
def pan():
    """Window of 48x48 that moves over a smooth picture by one row, two columns."""
    smooth = gaussian_filter(np.random.default_rng(0).random((60, 60, 3)), (2, 2, 0))
    smooth = 255 * (smooth - smooth.min()) / np.ptp(smooth)
    picture = smooth.round().astype(np.uint8)
    return np.stack([picture[t : t + 48, 2 * t : 2 * t + 48] for t in range(4)])


def test_motion_has_no_warping_error_and_flicker_has(pan):
    squares = np.square(np.diff(pan / 255, axis=0)).mean(axis=(1, 2, 3))
    assert (warping(pan) < squares / 500).all()
    brighter = pan.copy()
    brighter[2] = np.minimum(pan[2] + 20.0, 255)
    assert (warping(brighter)[1:] > 20 * warping(pan)[1:]).all()
    assert warping(np.repeat(pan[:1], 3, axis=0)).tolist() == [0, 0]


def test_the_warping_error_is_that_of_scipys_interpolation(pan):
    """Noise moves no flow far: scipy warps by the true motion of the inner pixels."""
    random = np.random.default_rng(1)
    noisy = np.clip(pan[:2] + random.normal(0, 4, pan[:2].shape), 0, 255)
    noisy = noisy.round().astype(np.uint8)
    rows, columns = np.indices((48, 48))
    x = noisy / 255
    places = [rows + 1, columns + 2]
    warped = np.stack(
        [map_coordinates(x[0, ..., c], places, order=1) for c in range(3)], axis=-1
    )
    expected = np.square(warped - x[1])[:-1, :-2].mean()  # 2 σ² of the noise
    assert expected == pytest.approx(2 * (4 / 255) ** 2, rel=0.1)
    assert warping(noisy)[0] == pytest.approx(expected, rel=0.35)


def test_samples_stand_beside_clips_without_prime_frames():
    samples = videos_of_array(noise(3, 2, 6, 8, 8, 3), "samples")
    clips = videos_of_array(noise(4, 6, 8, 8, 3, seed=1) // 2, "clips")
    settings = Compare(metrics=("difference", "flicker"), trials=2)
    found = measure(plan_metrics(samples, clips, settings, prime=3), Silent())
    for name, function in (("difference", difference), ("flicker", flicker)):
        both, lead = found.temporal[name], table.TEMPORAL[name].lead
        of_samples = function(noise(3, 2, 6, 8, 8, 3))[..., 3 - lead :]
        of_clips = function(noise(4, 6, 8, 8, 3, seed=1) // 2)[..., 3 - lead :]
        assert both.samples.mean == pytest.approx(of_samples.mean())
        assert both.clips.mean == pytest.approx(of_clips.mean())
        assert both.samples.per_frame == pytest.approx(of_samples.mean(axis=(0, 1)))
        error = of_clips.mean(axis=1).std(ddof=1) / 2
        assert both.clips.error == pytest.approx(error)
        assert both.first == 3
    assert [(row.metric, row.of) for row in metric_rows(found)][:2] == [
        ("Frame difference, of 255", "mean of 2"),
        ("Frame difference, of 255", "the clips"),
    ]
    unprimed = measure(plan_metrics(samples, clips, settings, prime=0), Silent())
    assert [each.first for each in unprimed.temporal.values()] == [1, 2]


def test_what_cannot_be_measured_is_refused(monkeypatch):
    samples, clips = (videos_of_array(noise(3, 4, 8, 8, 3), name) for name in "ab")
    settings = Compare(metrics=("flicker",))
    with pytest.raises(Refused, match="prime frames of a is not known"):
        plan_metrics(samples, clips, settings)
    with pytest.raises(Refused, match="the first 4 frames of 4 are not scored"):
        plan_metrics(samples, clips, settings, prime=4)
    monkeypatch.setattr(table, "find_spec", lambda package: None)
    with pytest.raises(Refused, match="scikit-image is not installed") as refused:
        plan_metrics(samples, clips, replace(settings, metrics=("warping",)), prime=1)
    assert "flow" in refused.value.hint
