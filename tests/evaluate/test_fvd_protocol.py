"""FVD's protocol: windows, trials, means and spreads."""

import numpy as np
import pytest

from svtcli.evaluate.fvd.protocol import (
    distances,
    frechet,
    kernel_distance,
    trial,
    windows_of,
)


def test_thirty_frames_have_fifteen_windows_of_sixteen():
    assert list(windows_of(30, 16, 1)) == list(range(15))
    assert list(windows_of(30, 16, 4)) == [0, 4, 8, 12]
    assert list(windows_of(16, 16, 1)) == [0]
    assert list(windows_of(15, 16, 1)) == []


def test_numbers_are_means_over_windows_then_trials_with_the_spread_of_trials():
    random = np.random.default_rng(0)
    real = random.normal(size=(3, 8, 5))
    fakes = random.normal(size=(4, 3, 9, 5)) + np.arange(4)[:, None, None, None]
    found = distances([trial(real, fake) for fake in fakes])
    d = np.array(
        [[frechet(real[k], fake[k]).distance for k in range(3)] for fake in fakes]
    )
    assert found.fvd.mean == pytest.approx(d[:, 0].mean())
    assert found.fvd.std == pytest.approx(
        np.sqrt(np.mean((d[:, 0] - d[:, 0].mean()) ** 2))
    )
    assert found.fvd.trials == pytest.approx(tuple(d[:, 0]))
    assert found.fvd_avg.mean == pytest.approx(d.mean())
    assert found.fvd_avg.std == pytest.approx(d.mean(axis=1).std())
    assert [window.mean for window in found.curve] == pytest.approx(
        list(d.mean(axis=0))
    )
    assert found.means + found.covariances == pytest.approx(found.fvd.mean)
    kernels = [kernel_distance(real[0], fake[0]) for fake in fakes]
    assert found.kvd.mean == pytest.approx(np.mean(kernels))


def test_one_trial_has_no_spread():
    features = np.random.default_rng(0).normal(size=(1, 6, 3))
    assert distances([trial(features, features + 1)]).fvd.std is None
