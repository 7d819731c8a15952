"""Sampling schedules, and the choice of one: as asked for, or the cheapest.

The cost is that of a model of the passes: nothing is measured while sampling. The
number of pixels that a pass of fixed-point sampling (`jacobi.py`) makes final is that
of a trained model.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, prod
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32

from svtcli.model.blocks import Blocks
from svtcli.model.connectivity import LARGEST, connectivity, schedule
from svtcli.model.decoder import Decoder
from svtcli.model.svt import abstract_params
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Sample
from svtcli.sample.jacobi import Jacobi
from svtcli.sample.slice_state import Carry, Schedule, SliceStart, sample_pixels
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
class Sequential:
    """One pass of the decoder a pixel, with cached keys and values (§3).

    The definition of a sample; the other schedules give the same.
    """

    name: str = "sequential"
    window: None = None

    def __call__(
        self, decoder: Decoder, start: SliceStart, *, first: bool
    ) -> tuple[Carry, Int[Array, " B"]]:
        B, P, _ = start.codes.shape

        def one_position(position: Int[Array, ""], carry: Carry) -> Carry:
            added = start.position_and_context[:, position]
            y, cache = decoder.step(carry.cache, added, position)
            noise, rule = start.noise[:, position], start.inputs.rule
            pixel, logits = sample_pixels(decoder, cache, y, noise, rule)
            return Carry(
                decoder.remember(cache, pixel, position),
                carry.codes.at[:, position].set(pixel),
                carry.logits.at[:, position].set(logits),
            )

        begin = Carry.begin(decoder, start)
        carry = jax.lax.fori_loop(start.start, P, one_position, begin)
        return carry, jnp.full(B, P - start.start)


@dataclass(frozen=True)
class Parallel:
    """One pass of the decoder a level: the shortest exact schedule (appendix C).

    Blocks and masks hide some pixels from others (`model.connectivity`). Pixels of one
    level do not depend on each other, so one pass gives them all.
    """

    name: str = "parallel"
    window: None = None

    def __call__(
        self, decoder: Decoder, start: SliceStart, *, first: bool
    ) -> tuple[Carry, Int[Array, " B"]]:
        B, plan = len(start.codes), _schedules(decoder.config, first)
        _, h, w = decoder.config.slice_shape
        prime_frames = start.start // (h * w)
        steps = jnp.asarray(plan.positions, int)[prime_frames]
        count = jnp.asarray(plan.counts)[prime_frames]

        def one_step(step: Int[Array, ""], carry: Carry) -> Carry:
            here = steps[step]
            runs = jnp.broadcast_to(here, (B, len(here)))  # of one position each
            added = start.position_and_context[:, here, None]
            y, cache = decoder.steps(carry.cache, added, runs)
            noise = start.noise[:, here].reshape(-1, *start.noise.shape[2:])
            pixels, logits = sample_pixels(
                decoder, cache, y.reshape(-1, y.shape[-1]), noise, start.inputs.rule
            )
            pixels = pixels.reshape(B, len(here), 1, -1)
            logits = logits.reshape(B, len(here), *logits.shape[1:])
            return Carry(
                decoder.remember_runs(cache, pixels, runs),
                carry.codes.at[:, here].set(pixels[:, :, 0]),
                carry.logits.at[:, here].set(logits),
            )

        carry = jax.lax.fori_loop(0, count, one_step, Carry.begin(decoder, start))
        return carry, jnp.full(B, count)


class _Schedules(NamedTuple):
    """Shortest schedules by number of prime frames, padded to one shape."""

    positions: Int32[np.ndarray, "t steps width"]
    counts: Int32[np.ndarray, " t"]
    """Steps of each schedule; the rest is padding."""


@lru_cache(maxsize=8)
def _schedules(config: Model, first: bool) -> _Schedules:
    t, h, w = config.slice_shape
    every = [schedule(config, prime * h * w, first=first) for prime in range(t)]
    steps, width = np.max([each.shape for each in every], axis=0)
    # A repeated position changes nothing: steps are filled up with their last one.
    padded = [
        np.pad(
            np.pad(each, ((0, 0), (0, width - each.shape[1])), "edge"),
            ((0, steps - len(each)), (0, 0)),
        )
        for each in every
    ]
    return _Schedules(np.stack(padded), np.array([len(e) for e in every], np.int32))


CPU_SHARE = 0.25
"""Share of a large product's rate that sampling reaches on a CPU, about."""


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

    def position(self, config: Model, rate: float) -> float:
        """Seconds of a position of `sequential`, at `rate` FLOP/s of large products."""
        return 2 * _decoder_weights(config) / (CPU_SHARE * rate)

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
    """Schedule of the settings for `rows` videos at once on each device here."""
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
