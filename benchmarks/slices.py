"""Shared by the sampling benchmarks: one slice by a schedule, with random weights.

Acceptance of guesses means nothing then; the time of a pass does not depend on it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from svtcli.recipe.model import Model
from svtcli.sample.jacobi import Jacobi
from svtcli.sample.sampling_rule import SamplingRule, row_keys
from svtcli.sample.schedules import Parallel, Sequential, pixels_per_pass
from svtcli.sample.slice_state import (
    Schedule,
    SliceInputs,
    SliceResult,
    sample_slice,
)

RULE = SamplingRule.of(0.9)
WINDOWS = (16, 64, 256)
SCHEDULES: dict[str, Schedule] = {
    "sequential": Sequential(),
    "parallel": Parallel(),
    **{f"guess, {W}": Jacobi(W) for W in WINDOWS},
}
SLICE = 5
"""Index of the slice to sample; a model with fewer takes its last."""

Clock = Callable[[], float]


def seconds(work: Callable[[], object], clock: Clock) -> float:
    """Least time of two calls."""
    spent = []
    for _ in range(2):
        begun = clock()
        work()
        spent.append(clock() - begun)
    return min(spent)


def window_of(name: str, pixels: int) -> int | None:
    """Pixels of a pass of fixed-point sampling."""
    word, *rest = name.split(", ")
    return min(int(rest[0]), pixels) if word == "guess" else None


def passes_of_trained(name: str, pixels: int, own: int) -> int:
    """Passes that a trained model takes for a slice; `own` without guesses."""
    window = window_of(name, pixels)
    return round(pixels / pixels_per_pass(window)) if window else own


@dataclass(frozen=True)
class OneSlice:
    """A compiled program that samples one slice of a batch of grey windows."""

    run: Callable[[int], SliceResult]
    """Sample with this number of prime frames; a slice of only prime frames takes no
    pass, so its time is the overhead of a slice."""
    compiling: float
    """Wall seconds."""
    memory: int
    """Bytes of the program's inputs, outputs and temporary arrays."""


def one_slice(
    model: Model, graphdef: object, params: object, name: str, B: int
) -> OneSlice:
    """Compile a slice of `B` videos by the schedule `name`."""
    shape = (B, *model.video, model.codes)
    keys = row_keys(0, np.arange(B), np.zeros(B, int))
    actions = jnp.zeros((B, model.video[0], model.actions)) if model.actions else None
    index = min(SLICE, model.slices - 1)

    def inputs_of(prime: int) -> SliceInputs:
        numbers = (jnp.array(index), jnp.array(prime), jnp.array(0))
        return SliceInputs(*numbers, keys, RULE, actions)

    def program(params: object, codes: object, inputs: SliceInputs) -> SliceResult:
        parts = graphdef, params, model, codes, inputs
        return sample_slice(*parts, schedule=SCHEDULES[name])

    begun = time.perf_counter()
    grey = jax.ShapeDtypeStruct(shape, jnp.uint8)
    with jax.default_matmul_precision("highest"):  # as `Sampler` does
        lowered = jax.jit(program, donate_argnums=1).lower(params, grey, inputs_of(1))
    ready = lowered.compile()
    needs = ready.memory_analysis()

    def run(prime: int) -> SliceResult:
        codes = jnp.full(shape, model.values // 2, jnp.uint8)
        return jax.block_until_ready(ready(params, codes, inputs_of(prime)))

    return OneSlice(
        run,
        time.perf_counter() - begun,
        needs.argument_size_in_bytes
        + needs.temp_size_in_bytes
        + needs.output_size_in_bytes
        - needs.alias_size_in_bytes,
    )


def copy_bandwidth(clock: Clock, numbers: int = 2**27) -> float:
    """Bytes a second that a copy of a large array reads and writes."""
    array = jnp.zeros(numbers, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(array))
    return 2 * array.nbytes / seconds(lambda: jax.block_until_ready(copy(array)), clock)


def pixels_of(model: Model) -> int:
    """Positions of a slice."""
    return prod(model.slice_shape)
