"""Samples on simulated devices; run as a process of its own.

Arguments: a precision, then `MODEL=SCHEDULE`s. Prints a line of JSON for each: what all
devices made otherwise than one, and how many programs they took.
"""

import json
import sys
from collections.abc import Iterator

import jax
import numpy as np

from svtcli.model.parameters import Params
from svtcli.recipe.model import Model
from svtcli.sample.jacobi import Jacobi
from svtcli.sample.sampler import Continuation, Sampler
from svtcli.sample.sampling_rule import SamplingRule, row_keys
from svtcli.sample.schedules import Parallel, Sequential
from svtcli.sample.slice_state import sample_slice_on
from svtcli.train.mesh import side_by_side
from tests.tiny import GRAY, SMALL, VARIANTS, network_of

SLIGHT = {"encoder_layers": 1, "decoder_layers": 1}
MODELS = VARIANTS | {
    "slight, actions": Model(
        video=(4, 2, 4), s=(2, 1, 2), blocks=((2, 2, 2),), actions=2,
        **{**SMALL, **SLIGHT}, **GRAY,
    )
}  # fmt: skip
SCHEDULES = {
    "sequential": Sequential(),
    "parallel": Parallel(),
    "guess": Jacobi(3),
}


def batches(sampler: Sampler, config: Model) -> Iterator[Continuation]:
    """Two batches of four videos that are longer than the model."""
    frames, rng = config.video[0] + 1, np.random.default_rng(3)
    for batch in range(2):
        shape = (4, frames, *config.video[1:], config.channels)
        video = rng.integers(0, 2**config.pixel_bits, shape, dtype=np.uint8)
        given = rng.normal(size=(4, frames, config.actions)).astype(np.float32)
        actions = given if config.actions else None
        keys = row_keys(7, np.arange(4), np.full(4, batch))
        yield sampler.continue_video(video, 1, 1, keys, SamplingRule.of(0.5), actions)


def compare(config: Model, params: Params, graphdef: object, schedule: str) -> dict:
    """A schedule on one device and on all."""
    layout, order = side_by_side(jax.local_devices()), SCHEDULES[schedule]
    alone = Sampler(config, graphdef, params, order)
    on_all = sample_slice_on(layout.mesh)
    on_all.clear_cache()
    parts = config, graphdef, layout.whole_copy(params)
    together = Sampler(*parts, order, layout.mesh, layout.spread)
    pairs = list(zip(batches(alone, config), batches(together, config), strict=True))
    return {
        "schedule": schedule,
        "devices": layout.devices,
        "pixels": sum(int((a.video != b.video).sum()) for a, b in pairs),
        "passes": sum(int((a.passes != b.passes).sum()) for a, b in pairs),
        "nll": max(float(abs(a.nll - b.nll).max()) for a, b in pairs),
        "paces": len({int(n) for _, made in pairs for n in made.passes}),
        "programs": on_all._cache_size(),
    }


if __name__ == "__main__":
    precision, *words = sys.argv[1:]
    with jax.enable_x64(precision == "float64"):
        for word in words:
            name, schedule = word.split("=")
            config = MODELS[name]
            graphdef, params = network_of(config, dtype=precision)
            print(json.dumps(compare(config, params, graphdef, schedule)), flush=True)
