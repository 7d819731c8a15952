"""How long each schedule takes, by a model of its passes, and which is the fastest.

Nothing is measured while sampling. How many pixels a pass of guess and verify makes
final is what a trained model has shown.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, prod
from typing import Literal, Protocol, runtime_checkable

import jax
import numpy as np

from svtcli.model.blocks import Blocks
from svtcli.model.connectivity import LARGEST, connectivity
from svtcli.model.svt import abstract_params
from svtcli.recipe.model import Model

Name = Literal["sequential", "parallel", "guess"]

WINDOWS = (16, 32, 64, 128, 256)
"""Of guess and verify: those that are weighed against each other."""

PIXELS_PER_PASS = {1: 1.0, 16: 5.8, 64: 11.0, 256: 16.7}
"""By window, after 1,100 steps on real video; sharper models guess less."""


@runtime_checkable
class Machine(Protocol):
    """Knows what a pass costs there, in a unit of its own."""

    def cost(self, schedule: Name, config: Model, positions: int) -> float:
        """Of one pass of the decoder that computes so many positions, of all videos."""
        ...


@dataclass(frozen=True)
class Cpu:
    """One position costs about as much as any, whatever is computed with it.

    Measured: `benchmarks/results/sampling.md`. The unit is a position of `sequential`.
    """

    started: float = 0.7
    """What a sequential pass costs besides its positions; the others' is nothing."""
    parallel: float = 0.8
    """A position of `parallel`, and one that only fills a step up."""
    guess: float = 0.4
    """A position of `guess`: runs of neighbours read the same keys."""

    def cost(self, schedule: Name, config: Model, positions: int) -> float:
        """In positions of `sequential`."""
        if schedule == "sequential":
            return self.started + positions
        return positions * (self.parallel if schedule == "parallel" else self.guess)


@dataclass(frozen=True)
class Accelerator:
    """A pass starts some operations, streams the weights, and reads keys and values.

    From data sheets, not measured: the weights are read once, however many positions
    there are; their products are free until they take longer than that.
    """

    flops: float
    """Of matrix products, a second."""
    bandwidth: float
    """Bytes of memory, a second."""
    itemsize: int
    """Bytes of a weight, and of a number in the caches."""
    start: float = 3e-6
    """Seconds that an operation takes at least."""

    def cost(self, schedule: Name, config: Model, positions: int) -> float:
        """In seconds."""
        operations = 20 + 20 * config.decoder_layers + 5 * config.codes  # about
        weights = _decoder_weights(config)
        streaming = weights * self.itemsize / self.bandwidth
        products = 2 * weights * positions / self.flops
        attended = positions * _attended(config) * self.itemsize / self.bandwidth
        return operations * self.start + max(streaming, products) + attended


def fastest(config: Model, batch: int, machine: Machine) -> tuple[Name, int | None]:
    """The cheapest schedule for `batch` videos at once, and its window, if any."""
    costs = slice_costs(config, batch, machine)
    return min(costs, key=costs.__getitem__)


def slice_costs(
    config: Model, batch: int, machine: Machine
) -> dict[tuple[Name, int | None], float]:
    """Of a slice of which nothing is given, by schedule and window."""
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
    """How many pixels a pass of guess and verify makes final, about."""
    known = np.log(list(PIXELS_PER_PASS)), np.log(list(PIXELS_PER_PASS.values()))
    return exp(float(np.interp(log(window), *known)))


@lru_cache(maxsize=8)  # telling it traces the whole network
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
