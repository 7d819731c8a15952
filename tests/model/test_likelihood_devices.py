"""Scores do not depend on the number of devices or the batch."""

from math import log

import pytest

from tests.tiny import VARIANTS
from tests.train.on_devices import on_devices

WORKER = "tests.model.devices_worker"


def uniform_cost(name: str) -> float:
    """Bits/dim, or nats/frame where pixels are not drawn."""
    config = VARIANTS[name]
    if config.loss == "deterministic":
        return log(2) * config.video[1] * config.video[2]
    return config.pixel_bits


@pytest.mark.slow
def test_every_model_scores_the_same_on_four_devices():
    results, _ = on_devices(4, WORKER, *VARIANTS)
    for name, made in zip(VARIANTS, results, strict=True):
        assert made["devices"] == 4
        assert max(made["off"]) <= 1e-6, name
        mean, error, *frames = made["uniform"]
        assert [mean, *frames] == pytest.approx(
            [uniform_cost(name)] * (1 + len(frames)), rel=1e-6
        )
        assert error == pytest.approx(0, abs=1e-5)
