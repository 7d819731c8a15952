"""Features are computed once for the same pixels, whatever happens in between."""

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.evaluate.fvd import features as stage
from svtcli.evaluate.fvd.features import KEPT_TOGETHER, Features, Network, load_network
from svtcli.evaluate.fvd.i3d import I3D, Conv
from svtcli.failure import CheckFailed
from svtcli.run.progress import Silent
from tests.train.on_devices import on_devices

NO_WEIGHTS = Conv(jnp.zeros((1, 1, 1, 1)), jnp.zeros(1))
NO_PARAMS = I3D(NO_WEIGHTS, NO_WEIGHTS, NO_WEIGHTS, {}, NO_WEIGHTS)


class Told(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def of_network(weights: str = "a") -> Features:
    return Features.on_all_devices(Network(NO_PARAMS, weights, 152.9), "tf1")


def clips(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 9, 4, 4, 3), np.uint8)


def test_computed_features_are_cached(cheap_features):
    video = clips(3)
    first = of_network().of(video)
    assert cheap_features == [(3, 9, 4, 4, 3)]
    np.testing.assert_array_equal(of_network().of(video.copy()), first)
    assert len(cheap_features) == 1
    apart = of_network().of(clips(5)[:3])
    assert np.abs(apart - first).min(axis=1).max() > 0.1


@pytest.mark.parametrize("other", ["pixels", "weights", "resize", "order"])
def test_the_cache_has_nothing_for_other(cheap_features, other):
    video = clips(3)
    of_network().of(video)
    features = of_network("b" if other == "weights" else "a")
    if other == "resize":
        features = Features(
            features.network, "half-pixel", features.layout, features.cache
        )
    if other == "pixels":
        video[2, 8, 3, 3, 2] ^= 1
    features.of(video[::-1] if other == "order" else video)
    assert len(cheap_features) == 2


def test_a_damaged_file_is_computed_again(cheap_features, tmp_path):
    video = clips(3)
    first = of_network().of(video)
    (file,) = (tmp_path / "cache" / "features").glob("*.npy")
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)
    np.testing.assert_array_equal(of_network().of(video), first)
    assert len(cheap_features) == 2


def test_features_that_are_not_finite_are_not_cached(cheap_features, monkeypatch):
    video, right = clips(3), stage.features

    def broken(params, video, resize):
        return np.full((len(video), 400), np.nan, np.float32)

    monkeypatch.setattr(stage, "features", broken)
    assert np.isnan(of_network().of(video)).all()
    monkeypatch.setattr(stage, "features", right)
    assert np.isfinite(of_network().of(video)).all()


def test_many_clips_go_in_batches_of_one_size(cheap_features):
    video = clips(KEPT_TOGETHER - 3)
    found = of_network().of(video)
    assert {shape[0] for shape in cheap_features} == {stage.AT_ONCE}
    one_by_one = [stage.features(NO_PARAMS, clip[None], "tf1")[0] for clip in video]
    np.testing.assert_allclose(found, one_by_one, rtol=1e-5)


@pytest.fixture
def constant(monkeypatch, tmp_path):
    """Networks whose self-test gives what is put in here."""
    monkeypatch.setenv("SVT_CACHE", str(tmp_path))
    answers = [152.9021]
    monkeypatch.setattr(stage, "self_test", lambda params: answers.pop())
    return answers


def test_the_self_test_runs_once_on_a_machine(constant):
    told = Told()
    assert load_network(None, told).constant == 152.9021
    compiling, line = told.lines
    assert compiling.startswith("compiling FVD's network")
    assert line.startswith("self-test passed: FVD of 16 black frames against white")
    assert line.endswith("is 152.9021 here (152.9021 is right)")
    assert load_network(None, told).constant == 152.9021
    assert len(told.lines) == 2


@pytest.mark.parametrize("off", [152.7, 153.1, 0.0, float("nan")])
def test_a_wrong_constant_fails_every_time(constant, off):
    constant[:] = [off, off]
    for _ in range(2):
        with pytest.raises(CheckFailed, match="self-test: FVD of 16 black frames"):
            load_network(None, Told())


@pytest.mark.slow
def test_four_devices_compute_the_features_of_one(tmp_path):
    (found,), _ = on_devices(4, "tests.evaluate.features_worker", str(tmp_path))
    assert found["devices"] == 4
    assert found["apart"] < 5e-5
