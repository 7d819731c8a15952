"""Scores on simulated devices; run as a process of its own.

Arguments: models of `tests.tiny`. Prints a line of JSON for each: by how much all
devices score otherwise than one, relative to the largest score of a frame, and what
the uniform model costs.
"""

import json
import sys

import jax
import numpy as np

from svtcli.model.likelihood import Scorer, score
from svtcli.model.svt import structure
from svtcli.recipe.model import Model
from svtcli.train.mesh import Layout, side_by_side
from tests.tiny import VARIANTS, network_of, zero_params


def nats(config: Model, network: tuple, layout: Layout, batch: int) -> np.ndarray:
    """Scores of eight videos longer than the model's window, `batch` at a time."""
    graphdef, params = network
    everywhere = layout.whole_copy(params)
    scorer = Scorer(config, graphdef, everywhere, layout.spread, layout.collected)
    frames, rng = config.video[0] + 1, np.random.default_rng(3)
    shape = (8, frames, *config.video[1:], config.channels)
    video = rng.integers(0, 2**config.pixel_bits, shape, dtype=np.uint8)
    given = rng.normal(size=(8, frames, config.actions)).astype(np.float32)
    actions = given if config.actions else None
    parts = [slice(start, start + batch) for start in range(0, 8, batch)]
    return np.concatenate(
        [
            scorer.frame_nll(
                video[part], 1, 1, None if actions is None else actions[part]
            )
            for part in parts
        ]
    )


def compare(name: str) -> dict:
    """A model on one device and on all, in other batches."""
    config, devices = VARIANTS[name], jax.local_devices()
    alone, everywhere = side_by_side(devices[:1]), side_by_side(devices)
    network = network_of(config)
    one = nats(config, network, alone, 2)
    uniform = structure(config)[0], zero_params(config)
    same = score(nats(config, uniform, everywhere, 8), 1, config)
    return {
        "devices": everywhere.devices,
        "off": [
            float(abs(nats(config, network, everywhere, batch) - one).max() / one.max())
            for batch in (4, 8)
        ],
        "uniform": [same.mean, same.error, *same.per_frame],
    }


if __name__ == "__main__":
    for word in sys.argv[1:]:
        print(json.dumps(compare(word)), flush=True)
