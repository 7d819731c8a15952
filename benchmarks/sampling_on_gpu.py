"""Sampling with the paper's large model (373 M) on the accelerator here, in bfloat16.

Four tables, each with its most important rows first: a slice with every schedule and
batch size, beside the time to read the weights and the estimate of `svt sample
--schedule auto`; the headline, four videos of 30x64x64 after one prime frame (the
paper: some 480 s on a V100); a profile of a pass; the number of pixels that differ
between schedules. The weights are random: times are right, acceptance is not
(`sampling.py RUN --chip`).

Each table has its share of `--seconds`; once that is over, no row of it is begun.
`--tiny` is for trying it anywhere.

    python benchmarks/sampling_on_gpu.py > benchmarks/results/sampling_on_gpu.md
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from kernel_times import HEADER as TRACE_HEADER
from kernel_times import trace_rows
from measure import print_rows, print_title
from slices import (
    RULE,
    SCHEDULES,
    OneSlice,
    copy_bandwidth,
    one_slice,
    passes_of_trained,
    pixels_of,
    seconds,
    window_of,
)

from svtcli.model.connectivity import connectivity
from svtcli.model.heads import unit_of
from svtcli.model.likelihood import slice_nll
from svtcli.model.parameters import Params, for_products_in
from svtcli.model.svt import create, network
from svtcli.recipe.load import load_recipe
from svtcli.recipe.model import Model
from svtcli.sample.sampler import Sampler
from svtcli.sample.sampling_rule import row_keys
from svtcli.sample.schedules import Accelerator, Machine, Name, machine_of

VIDEOS, FRAMES, PAPER = 4, 30, 480
CLOCK = time.perf_counter
CELLS = (
    *((4, name) for name in ("sequential", "parallel", "guess, 64")),
    *((4, name) for name in ("guess, 256", "guess, 16")),
    *((2, name) for name in ("sequential", "parallel", "guess, 64", "guess, 256")),
    (1, "sequential"),
    *((16, name) for name in ("sequential", "parallel", "guess, 64")),
    *((64, name) for name in ("sequential", "guess, 16", "guess, 64")),
)
"""Rows of the first table, in order: batch size, schedule."""


@dataclass(frozen=True)
class Large:
    """The model, and the device it is on."""

    model: Model
    graphdef: object
    params: Params
    """For products in bfloat16."""
    machine: Machine
    bandwidth: float
    begun: float
    """By the clock."""
    budget: float
    """Seconds."""
    programs: dict[tuple[int, str], OneSlice] = field(default_factory=dict)

    def late(self, share: float = 1.0) -> bool:
        """Return True if that share of the time is over."""
        return CLOCK() > self.begun + share * self.budget

    def program(self, B: int, name: str) -> OneSlice:
        """A slice of `B` videos by the schedule, compiled once."""
        if (B, name) not in self.programs:
            parts = (self.model, self.graphdef, self.params)
            self.programs[B, name] = one_slice(*parts, name, B)
        return self.programs[B, name]

    @property
    def last(self) -> int:
        """Prime frames with which only the last frame of a slice is sampled."""
        return self.model.video[0] - self.model.s[0] + 1

    @property
    def floor(self) -> float:
        """Seconds that it takes to read the decoder's weights once."""
        leaves = jax.tree.leaves(self.params["decoder"])
        return sum(leaf.nbytes for leaf in leaves) / self.bandwidth


def prepare(tiny: bool, budget: float) -> Large:
    """The model on the device."""
    begun = CLOCK()
    model = load_recipe("bair_large").recipe.model
    if tiny:
        model = replace(model, video=(16, 16, 16), d=32, de=8, da=4, na=2,
                        encoder_layers=2, decoder_layers=2)  # fmt: skip
    graphdef, params = create(model, jax.random.key(0))
    device = jax.devices()[0]
    return Large(
        model,
        graphdef,
        for_products_in(graphdef, params, jnp.bfloat16),
        machine_of(device.platform, device.device_kind, "bfloat16"),
        copy_bandwidth(CLOCK, 2**20 if tiny else 2**29),
        begun,
        budget,
    )


def slice_rows(large: Large) -> Iterator[tuple]:
    """A slice by every schedule and batch; passes over its last frame are timed."""
    for B, name in CELLS:
        if large.late(0.5):
            return
        try:
            yield _times(large, B, name)
        except jax.errors.JaxRuntimeError as error:
            yield (B, name, str(error).splitlines()[0][:80], *[""] * 7)


def _times(large: Large, B: int, name: str) -> tuple[object, ...]:
    T, pixels, program = (
        large.model.video[0],
        pixels_of(large.model),
        large.program(B, name),
    )
    of_last = program.run(large.last)  # the first call allocates
    beside = seconds(partial(program.run, T), CLOCK)
    inside = seconds(partial(program.run, large.last), CLOCK) - beside
    of_pass = inside / int(of_last.passes.max())
    passes = passes_of_trained(name, pixels, _steps(large.model, name))
    positions = B * _width(large.model, name)
    expected = large.machine.cost(_kind(name), large.model, positions)
    known = isinstance(large.machine, Accelerator)
    return (
        B, name, f"{1e3 * of_pass:.3f}", f"{1e3 * large.floor:.3f}",
        f"{1e3 * expected:.3f}" if known else "", f"{1e3 * beside:.1f}", passes,
        f"{passes * of_pass + beside:.2f}", f"{program.memory / 1e9:.2f}",
        f"{program.compiling:.0f}",
    )  # fmt: skip


def _steps(model: Model, name: str) -> int:
    """Passes of a slice without prime frames, where they are known."""
    parallel = _kind(name) == "parallel"
    return connectivity(model).steps if parallel else pixels_of(model)


def _width(model: Model, name: str) -> int:
    """Positions of a pass."""
    if _kind(name) == "parallel":
        return connectivity(model).widest
    return window_of(name, pixels_of(model)) or 1


def _kind(name: str) -> Name:
    kinds: tuple[Name, ...] = ("sequential", "parallel", "guess")
    return next(kind for kind in kinds if name.startswith(kind))


def headline_rows(large: Large, tiny: bool) -> Iterator[tuple]:
    """Whole videos, start to end, by schedules whose passes need no trained model."""
    model = large.model
    frames = model.video[0] + 2 if tiny else FRAMES
    video = np.zeros((VIDEOS, frames, *model.video[1:], model.channels), np.uint8)
    keys = row_keys(0, np.arange(VIDEOS), np.zeros(VIDEOS, int))
    for name in ("parallel", "sequential"):
        if large.late(0.7):
            return
        sampler = Sampler(model, large.graphdef, large.params, SCHEDULES[name])
        small = video[:, : model.video[0]]
        begun = CLOCK()
        sampler.continue_video(small, model.video[0] - 1, 1, keys, RULE)
        compiled = CLOCK()
        made = sampler.continue_video(video, 1, 1, keys, RULE)
        spent = CLOCK() - compiled
        passes = int(made.passes.max())
        yield (
            name, f"{spent:.1f}", f"{PAPER / spent:.0f}x", passes,
            f"{passes * large.floor:.1f}", f"{compiled - begun:.0f}",
        )  # fmt: skip


def difference_rows(large: Large) -> Iterator[tuple]:
    """The last frame of a slice of two videos, by sharpened weights."""
    graphdef, params = create(large.model, jax.random.key(0))
    params["decoder"]["head"]["to_logits"] *= 10  # else all values are as likely
    for precision in ("float32", "bfloat16"):
        rounded = for_products_in(graphdef, params, jnp.dtype(precision))
        wanted = None
        for name in ("sequential", "parallel", "guess, 64"):
            if large.late():
                return
            program = one_slice(large.model, graphdef, rounded, name, 2)
            made = np.asarray(program.run(large.last).codes)
            wanted = made if wanted is None else wanted
            yield precision, name, int((made != wanted).any(-1).sum())


def bits_apart(large: Large) -> str:
    """Change of the score of noise in bfloat16, with the same weights."""
    model = large.model
    shape = (2, *model.video, model.channels)
    video = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    graphdef, params = create(model, jax.random.key(0))
    index = jnp.full(2, model.slices - 1)

    def bits(params: Params) -> float:
        with jax.default_matmul_precision("highest"):
            nll = jax.jit(
                lambda params: slice_nll(network(graphdef, params), video, index)
            )(params)
        return float(nll.mean()) * unit_of(model).per_nat

    exact, rounded = bits(params), bits(for_products_in(graphdef, params, jnp.bfloat16))
    return f"{exact:.5f} bits/dim in float32, {rounded:.5f} in bfloat16"


def profiles(large: Large) -> None:
    """Profile of a pass at both extremes: one pixel, and many."""
    for name in ("guess, 64", "sequential"):
        if large.late(0.85):
            return
        program = large.program(VIDEOS, name)
        passes = int(program.run(large.last).passes.max())
        print(f"\nA pass of {name}, {VIDEOS} videos ({passes} traced):\n")
        print_rows(TRACE_HEADER, trace_rows(partial(program.run, large.last), passes))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    large = prepare(asked.tiny, asked.seconds)
    kind = jax.devices()[0].device_kind
    print_title(f"Sampling with the large model in bfloat16 on {kind}")
    print(f"A copy of memory: {large.bandwidth / 1e9:.0f} GB/s, read and written.\n")
    header = ("videos", "schedule", "ms a pass", "its weights alone", "auto expects",
              "ms beside", "passes a slice", "s a slice", "GB",
              "s to compile")  # fmt: skip
    print_rows(header, slice_rows(large))
    print(f"\n{VIDEOS} videos of {FRAMES} frames after one (the paper: {PAPER} s):\n")
    header = ("schedule", "s", "of the paper's time", "passes", "weights alone, s",
              "s to compile")  # fmt: skip
    print_rows(header, headline_rows(large, asked.tiny))
    profiles(large)
    print("\nPixels of 2 x 1 frame of a slice that differ from `sequential`:\n")
    print_rows(("precision", "schedule", "pixels"), difference_rows(large))
    if not large.late():
        print(f"\nThe score of noise: {bits_apart(large)}.")


if __name__ == "__main__":
    main()
