"""Time that a training takes on the devices here, estimated before it begins.

FLOPs of a step over a rate of the devices. Of an accelerator it is a share of the data
sheet's, of a CPU that of one measured matrix product; small steps cost at least their
operations' overhead.
"""

import time
from collections.abc import Sequence
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from svtcli.model.flops import hardware_flops
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Train
from svtcli.run.progress import about, counted
from svtcli.train.chips import total_peak_flops
from svtcli.train.memory import size

UTILIZATION = 0.4
"""Share of an accelerator's peak rate that training reaches, about."""
CPU_SHARE = 0.5
"""Share of a large product's rate that training reaches on a CPU, about."""
PER_LAYER = {"cpu": 1e-3, "other": 1e-4}
"""Seconds of a layer's operations, forward and backward, without their products."""
SIDE, TRIES = 768, 12
"""Side and number of the matrix products that are measured: 0.1 s on two cores."""
LONG = 2 * 86400
"""Seconds of training above which the hardware that a recipe asks for is named."""


def seconds_per_step(
    model: Model, train: Train, device_kinds: Sequence[str], platform: str
) -> float | None:
    """Seconds of a training step on devices of these kinds; None if unknown."""
    if peak := total_peak_flops(device_kinds, train.precision):
        rate = UTILIZATION * peak
    elif platform == "cpu":
        rate = CPU_SHARE * cpu_rate()  # of all its devices: they share the cores
    else:
        return None
    layers = model.encoder_layers + model.decoder_layers
    layers += model.first_slice_layers or 0
    each = PER_LAYER["cpu" if platform == "cpu" else "other"]
    overhead = each * layers * train.accumulate
    return hardware_flops(model, train.batch, remat=train.remat) / rate + overhead


@cache
def cpu_rate() -> float:
    """FLOP/s of float32 matrix products on this CPU, measured in tenths of a second.

    It is measured once: a sweep asks for every run.
    """
    cpu = jax.local_devices(backend="cpu")[0]
    factor = jax.device_put(np.ones((SIDE, SIDE), np.float32), cpu)
    product = jax.jit(jnp.matmul)
    product(factor, factor).block_until_ready()
    begun = time.perf_counter()
    for _ in range(TRIES):
        product(factor, factor).block_until_ready()
    return TRIES * 2 * SIDE**3 / (time.perf_counter() - begun)


def forecast(
    seconds: float,
    steps: int,
    where: str,
    state: int,
    memory: int | None,
    needs: str,
    measured: bool = False,
) -> str:
    """Sentence about a training of `steps` in all, before it begins.

    `state` is the weights + optimizer state of a device with `memory` bytes, `needs`
    the hardware that the recipe's header asks for, or empty. `measured` if the time
    follows from `cpu_rate`.
    """
    text = f"about {about(seconds)} for {counted(steps, 'step')} on {where}"
    if measured:
        text += ", at the speed measured just now"
    if seconds > LONG and needs:
        text += f"; the recipe's header asks for {needs}"
    if memory is not None and state > memory:
        text += (
            f"; weights + optimizer state alone need {size(state)} a device, which has "
            f"{size(memory)}"
        )
    return text
