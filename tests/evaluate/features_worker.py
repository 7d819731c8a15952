"""Features of the same clips on one device and on all of them, in one process."""

import json
import sys
from pathlib import Path

import jax
import numpy as np

from svtcli.evaluate.fvd.features import Features, Network
from svtcli.evaluate.fvd.i3d import i3d
from svtcli.evaluate.weights import I3D_WEIGHTS, read_weights
from svtcli.run.cache import ArrayStore, Cache
from svtcli.train.mesh import side_by_side

CLIPS = 6


def main(place: Path) -> None:
    weights = read_weights(I3D_WEIGHTS)
    network = Network(i3d(weights.arrays), weights.sha256, 152.9)
    video = np.random.default_rng(0).integers(0, 256, (CLIPS, 9, 32, 32, 3), np.uint8)
    found = [
        Features(
            network, "tf1", side_by_side(devices), Cache(ArrayStore(place / name))
        ).of(video)
        for name, devices in (("one", jax.devices()[:1]), ("all", jax.devices()))
    ]
    apart = float(np.abs(found[0] - found[1]).max())
    print(json.dumps({"devices": jax.device_count(), "apart": apart}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
