"""Fixtures that save repeated work: compiled trainings, and I3D's features."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.evaluate.fvd import features as stage
from svtcli.evaluate.fvd.i3d import I3D, Conv
from tests.train.kept_programs import keep_programs

NOTHING = Conv(jnp.zeros((1, 1, 1, 1)), jnp.zeros(1))
NO_PARAMS = I3D(NOTHING, NOTHING, NOTHING, {}, NOTHING)


@pytest.fixture
def kept_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One compiled training step for all tests of one recipe."""
    keep_programs(monkeypatch)


@pytest.fixture
def cheap_features(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[tuple[int, ...]]:
    """Cheap features in place of I3D's; gives the shapes of what was computed."""
    monkeypatch.setenv("SVT_CACHE", str(tmp_path / "cache"))
    shapes = []
    mixed = np.random.default_rng(0).normal(size=(6, 400))

    def cheap(params: I3D, video: np.ndarray, resize: str) -> np.ndarray:
        """Means of the clip, of its ends and of its colours, mixed.

        In float64, for products of one row and of many round differently.
        """
        shapes.append(video.shape)
        clip = np.asarray(video, np.float64)
        means = [clip.mean((1, 2, 3, 4)), clip[:, 0].mean((1, 2, 3))]
        means += [clip[:, -1].mean((1, 2, 3)), *clip.mean((1, 2, 3)).T]
        mixture = np.stack(means[:6], axis=1) @ mixed[: len(means)]
        return mixture.astype(np.float32)

    monkeypatch.setattr(stage, "features", cheap)
    monkeypatch.setattr(stage, "self_test", lambda params: 152.902097)
    return shapes
