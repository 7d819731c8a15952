"""Choice of a schedule: the one asked for, or the cheapest by a model of its passes.

Nothing is measured while sampling. The number of pixels that a pass of fixed-point
(Jacobi) sampling makes final is that of a trained model.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, prod
from typing import Literal

import jax
import numpy as np

from svtcli.failure import Refused
from svtcli.model.blocks import Blocks
from svtcli.model.connectivity import LARGEST, connectivity
from svtcli.model.svt import abstract_params
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Sample
from svtcli.sample.jacobi import Jacobi
from svtcli.sample.parallel import Parallel
from svtcli.sample.sequential import Sequential
from svtcli.sample.slice_state import Schedule
from svtcli.train.chips import find_chip

Name = Literal["sequential", "parallel", "guess"]

WINDOWS = (16, 32, 64, 128, 256)
"""Windows of fixed-point sampling that `auto` compares."""

PIXELS_PER_PASS = {1: 1.0, 16: 5.8, 64: 11.0, 256: 16.7}
"""By window, after 1,100 steps on real video; fewer guesses of sharper models hold."""

UNKNOWN = "A100"
"""Stands for an accelerator that is not in the table of chips."""

BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Cpu:
    """A CPU: a position costs about the same, whatever is computed with it.

    Measured: `benchmarks/results/sampling.md`. The unit is a position of `sequential`.
    """

    started: float = 0.7
    """Overhead of a sequential pass; the others have none."""
    parallel: float = 0.8
    """A position of `parallel`, padding included."""
    guess: float = 0.4
    """A position of `guess`: runs of neighbours read the same keys."""

    def cost(self, schedule: Name, config: Model, positions: int) -> float:
        """Cost of a pass over `positions` of all videos, in those of `sequential`."""
        if schedule == "sequential":
            return self.started + positions
        return positions * (self.parallel if schedule == "parallel" else self.guess)


@dataclass(frozen=True)
class Accelerator:
    """An accelerator: a pass starts kernels, streams weights, reads keys and values.

    From data sheets, not measured: the weights are read once, whatever the number of
    positions, and their products are free until they take longer than that.
    """

    flops: float
    """FLOP/s of matrix products."""
    bandwidth: float
    """Bytes of memory a second."""
    itemsize: int
    """Bytes of a weight, and of a number in the caches."""
    start: float = 3e-6
    """Seconds that an operation takes at least."""

    def cost(self, schedule: Name, config: Model, positions: int) -> float:
        """Seconds of a pass over `positions` of all videos."""
        operations = 20 + 20 * config.decoder_layers + 5 * config.codes  # about
        weights = _decoder_weights(config)
        streaming = weights * self.itemsize / self.bandwidth
        products = 2 * weights * positions / self.flops
        attended = positions * _attended(config) * self.itemsize / self.bandwidth
        return operations * self.start + max(streaming, products) + attended


Machine = Cpu | Accelerator


def schedule_of(settings: Sample, config: Model, rows: int) -> Schedule:
    """Schedule of the settings for `rows` videos at once on each device here.

    Errors: Refused for `parallel` where a slice is above `connectivity.LARGEST`.
    """
    name, window = settings.schedule, settings.window
    if name == "auto":
        device = jax.local_devices()[0]
        machine = machine_of(device.platform, device.device_kind, settings.precision)
        name, best = fastest(config, rows, machine)
        window = best or window
    if name == "sequential":
        return Sequential()
    if name == "guess":
        return Jacobi(window)
    pixels = prod(config.slice_shape)
    if pixels > LARGEST:
        raise Refused(
            f"--schedule parallel: a slice has {pixels:,} pixels; dependencies of "
            f"pixels are worked out up to {LARGEST:,}",
            "choose --schedule guess or sequential",
        )
    return Parallel()


def machine_of(platform: str, kind: str, precision: str) -> Machine:
    """Cost model of a device, by JAX's names for it."""
    if platform == "cpu":
        return Cpu()
    chip = find_chip(kind) or find_chip(UNKNOWN)
    assert chip is not None  # UNKNOWN is in the table
    return Accelerator(chip.peak(precision), chip.bandwidth, BYTES[precision])


def fastest(config: Model, batch: int, machine: Machine) -> tuple[Name, int | None]:
    """Cheapest schedule for `batch` videos at once, and its window, if any."""
    costs = slice_costs(config, batch, machine)
    return min(costs, key=costs.__getitem__)


def slice_costs(
    config: Model, batch: int, machine: Machine
) -> dict[tuple[Name, int | None], float]:
    """Cost of a slice without prime frames, by schedule and window."""
    P = prod(config.slice_shape)
    costs: dict[tuple[Name, int | None], float] = {
        ("sequential", None): P * machine.cost("sequential", config, batch)
    }
    if P <= LARGEST:
        found = connectivity(config)
        each = machine.cost("parallel", config, batch * found.widest)
        costs["parallel", None] = found.steps * each
    for window in WINDOWS:
        if window <= P:
            passes = P / pixels_per_pass(window)
            each = machine.cost("guess", config, batch * window)
            costs["guess", window] = passes * each
    return costs


def pixels_per_pass(window: int) -> float:
    """Pixels that a pass of fixed-point sampling makes final, about."""
    known = np.log(list(PIXELS_PER_PASS)), np.log(list(PIXELS_PER_PASS.values()))
    return exp(float(np.interp(log(window), *known)))


@lru_cache(maxsize=8)  # it traces the whole network
def _decoder_weights(config: Model) -> int:
    leaves = jax.tree.leaves(abstract_params(config)["decoder"])
    return sum(leaf.size for leaf in leaves)


def _attended(config: Model) -> int:
    """Numbers of the keys and values that one position attends to, in all layers."""
    depth = config.decoder_layers
    blocks, heads = config.layer_blocks(depth), config.layer_heads(depth)
    return sum(
        2 * Blocks.of(block, config.slice_shape).length * na * config.da
        for block, na in zip(blocks, heads, strict=True)
    )
