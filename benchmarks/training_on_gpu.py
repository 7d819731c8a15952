"""Training the paper's base and large models on the accelerator here, in bfloat16.

Milliseconds of a step of 64 slices, slices per second, MFU against the chip's peak and
against a matrix product measured here, memory, with and without remat; then a profile
of a step of the large model. Each runs in its own process, because peak memory is never
reset. After `--seconds` no further row is begun. `--tiny` is for trying it anywhere.

    python benchmarks/training_on_gpu.py > benchmarks/results/training_on_gpu.md
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from kernel_times import HEADER as TRACE_HEADER
from kernel_times import trace_rows
from measure import print_rows, print_title
from steps import Training

from svtcli.model.flops import training_flops
from svtcli.recipe.load import load_recipe
from svtcli.train.chips import peak_flops

ROWS = (
    ("bair_large", False, 4),
    ("bair_large", True, 1),
    ("bair_spatiotemporal", False, 2),
    ("bair_spatiotemporal", True, 1),
)
"""Recipe, remat, and in how many parts a batch fits in 80 GB, by `gpu_program.py`."""
PARTS = (1, 2, 4, 8, 16)
"""Micro-batches per batch; more are tried where these do not fit."""
SLICES = 64
TINY_MODEL = (
    *("model.video=[4,64,64]", "model.d=32", "model.de=8", "model.da=4", "model.na=2"),
    *("model.encoder_layers=2", "model.decoder_layers=2", "train.batch=4"),
)
STEPS, TRACED = 10, 3


class Trial:
    """This script, measuring in processes of their own until the time is over."""

    def __init__(self, budget: float, tiny: bool) -> None:
        self.budget, self.until = budget, time.monotonic() + budget
        self.tiny = ["--tiny"] if tiny else []

    def late(self, reserve: float = 0.0) -> bool:
        """Return True if less than that share of the time is left."""
        return time.monotonic() > self.until - reserve * self.budget

    def measure(self, *arguments: str) -> dict[str, Any]:
        """Output of this script with these arguments; `error` where it fails."""
        command = [sys.executable, __file__, *self.tiny, *arguments]
        limit = max(60.0, self.until + 30 - time.monotonic())
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {limit:.0f} s"}
        if done.returncode:
            lines = done.stderr.splitlines()
            full = [line for line in lines if "RESOURCE_EXHAUSTED" in line]
            named = [line for line in lines if re.match(r"[\w.]+: ", line)]
            return {"error": (full or named or [f"exit {done.returncode}"])[-1]}
        return json.loads(done.stdout.splitlines()[-1])


def rows(trial: Trial, rate: float, peak: float | None) -> Iterator[tuple]:
    """Every recipe, in as few parts as fit, or why it does not run."""
    for name, remat, fewest in ROWS:
        for parts in [each for each in PARTS if each >= fewest]:
            if trial.late(0.3):
                return
            found = trial.measure("--step", name, f"{remat}".lower(), f"{parts}")
            if "RESOURCE_EXHAUSTED" not in found.get("error", ""):
                break
        yield (name, "yes" if remat else "no", parts, *_row(found, rate, peak))


def _row(found: dict[str, Any], rate: float, peak: float | None) -> tuple[str, ...]:
    if "error" in found:
        return (found["error"].replace("|", "/")[:80], *[""] * 6)
    seconds, batch = found["seconds"], found["batch"]
    done, in_use = found["flops"] / seconds, found["in_use"]
    return (
        f"{1e3 * seconds:.0f}",
        f"{batch / seconds:.1f}",
        f"{done / rate:.0%}",
        f"{done / peak:.0%}" if peak else "",
        f"{in_use / 1e9:.1f}" if in_use else "",
        f"{found['planned'] / 1e9:.1f}",
        f"{found['compiling']:.0f}",
    )


def measure_products(tiny: bool) -> dict[str, Any]:
    """FLOP/s of one large matrix product in bfloat16, and the chip's name and peak."""
    side = 256 if tiny else 8192
    # Noise: a chip that multiplies ones draws less power and so runs faster.
    draw = jax.random.normal(jax.random.key(0), (2, side, side), jnp.bfloat16)
    product = jax.jit(lambda a, b: a @ b)
    a, b = draw
    for _ in range(10):
        product(a, b).block_until_ready()
    times = 50
    begun = time.perf_counter()
    for _ in range(times):
        last = product(a, b)
    last.block_until_ready()
    rate = times * 2 * side**3 / (time.perf_counter() - begun)
    kind = jax.devices()[0].device_kind
    return {
        "kind": kind,
        "peak": peak_flops(kind, "bfloat16"),
        "rate": rate,
        "side": side,
    }


def training_of(name: str, remat: str, parts: str, tiny: bool) -> Training:
    """A recipe's step, compiled."""
    changes = (
        *(f"train.batch={SLICES}", "train.precision=bfloat16", f"train.remat={remat}"),
        *(f"train.accumulate={parts}", *(TINY_MODEL if tiny else ())),
    )
    recipe = load_recipe(name, changes).recipe
    return Training(recipe.model, recipe.train)


def measure_step(training: Training, compiling: float) -> dict[str, Any]:
    """Seconds of one of some steps, and memory."""
    planned: Any = training.step
    memory = planned.memory_analysis()
    for _ in range(3):
        training.take()
    begun = time.perf_counter()
    for _ in range(STEPS):
        training.state, metrics = training.step(training.state, training.inputs)
    jax.block_until_ready((training.state, metrics))
    seconds = (time.perf_counter() - begun) / STEPS
    if not bool(metrics.finite):
        raise ValueError("the loss or its gradient is not finite")
    rows = training.settings.batch
    return {
        "seconds": seconds,
        "batch": rows,
        "flops": training_flops(training.model, rows),
        "in_use": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
        "planned": memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes,
        "compiling": compiling,
    }


def trace_step(training: Training) -> dict[str, Any]:
    """Profile of a step."""
    training.take()

    def steps() -> None:
        for _ in range(TRACED):
            training.take()

    return {"rows": list(trace_rows(steps, TRACED))}


def on_chip(trial: Trial) -> None:
    """Run all parts; this process never uses the device."""
    products = trial.measure("--products")
    if "error" in products:
        raise RuntimeError(products["error"])
    kind, rate, peak = products["kind"], products["rate"], products["peak"]
    side = products["side"]
    print_title(f"Training on {kind}")
    known = f" of {peak / 1e12:.0f} in its data sheet" if peak else ""
    print(
        f"A bf16 product of {side} x {side} x {side} runs at {rate / 1e12:.3g} TFLOP/s"
        f"{known}. Batches of {SLICES} slices.\n"
    )
    header = ("recipe", "remat", "parts", "ms", "slices/s", "of products", "MFU",
              "GB in use", "GB planned", "s to compile")  # fmt: skip
    print_rows(header, rows(trial, rate, peak))
    name, remat, parts = ROWS[0]
    if not trial.late(0.15):
        found = trial.measure("--trace", name, f"{remat}".lower(), f"{parts}")
        print(f"\nA step of {name} in {parts} parts, no remat:\n")
        print_rows(TRACE_HEADER, found.get("rows", [(found.get("error"),)]))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=360)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--products", action="store_true", help=argparse.SUPPRESS)
    for each in ("--step", "--trace"):
        parser.add_argument(each, nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    begun = time.perf_counter()
    if asked.products:
        print(json.dumps(measure_products(asked.tiny)))
    elif asked.step:
        training = training_of(*asked.step, asked.tiny)
        print(json.dumps(measure_step(training, time.perf_counter() - begun)))
    elif asked.trace:
        print(json.dumps(trace_step(training_of(*asked.trace, asked.tiny))))
    else:
        on_chip(Trial(asked.seconds, asked.tiny))


if __name__ == "__main__":
    main()
