"""Sampling schedules compared: the same samples, in fewer passes.

With RUN, the folder of a trained run in the working directory of its training: its
held-out clips continued on one CPU core, or with `--chip` on the accelerator there. The
share of accepted guesses depends on how sharp a model is, so only a trained one tells
anything about pixels per pass.

Without it, random weights and one slice of the paper's 4x32x32: time alone; `--wide`
adds the base model's width, long on a CPU. The last columns put the weights that all
passes read against what a copy of memory takes. `sampling_on_gpu.py` has the large
model.

    python benchmarks/sampling.py RUN > benchmarks/results/sampling_trained.md
    python benchmarks/sampling.py > benchmarks/results/sampling.md
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from measure import print_rows, print_title, use_one_core

ON_CHIP, WIDE = (word in sys.argv for word in ("--chip", "--wide"))
RUN = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
if not ON_CHIP:
    use_one_core()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from slices import (  # noqa: E402
    RULE,
    SCHEDULES,
    copy_bandwidth,
    one_slice,
    passes_of_trained,
    pixels_of,
    seconds,
)

from svtcli.clips.held_out import HeldOut  # noqa: E402
from svtcli.model.svt import create  # noqa: E402
from svtcli.recipe.model import Model  # noqa: E402
from svtcli.run.directory import RunFolder  # noqa: E402
from svtcli.sample.sampler import Sampler  # noqa: E402
from svtcli.sample.sampling_rule import row_keys  # noqa: E402
from svtcli.train.checkpoint import load_network  # noqa: E402
from svtcli.train.commit_record import open_checkpoint  # noqa: E402
from svtcli.train.held_out import HeldOutPlan, plan_held_out  # noqa: E402

BATCHES = (1, 4)
CLOCK = time.perf_counter if ON_CHIP else time.process_time
UNIT = "s" if ON_CHIP else "CPU s"


def of_trained(run: Path) -> None:
    """Whole continuations of held-out clips by a trained run."""
    checkpoint = open_checkpoint(RunFolder(run))
    settings, model = checkpoint.recipe.sample, checkpoint.recipe.model
    plan = plan_held_out(checkpoint, settings, None, max(BATCHES))
    parts, clips = load_network(checkpoint), plan.read()
    sampler = Sampler(model, parts.graphdef, parts.params)
    print_title("The schedules of sampling on a trained model's held-out clips")
    t, h, w = model.slice_shape
    print(
        f"{checkpoint.step} training steps; slices {t}x{h}x{w}, d {model.d}, "
        f"{model.decoder_layers} decoder layers, {plan.frames} frames of which "
        f"{plan.prime} are given, temperature {settings.temperature:g}.\n"
    )
    if ON_CHIP:
        print(f"On {jax.devices()[0].device_kind}.\n")
    header = ("videos", "schedule, window", f"{UNIT} a video", "faster",
              "pixels a pass", "of the videos", "videos that differ")  # fmt: skip
    print_rows(header, _rows_of_trained(sampler, plan, clips))


def _rows_of_trained(
    sampler: Sampler, plan: HeldOutPlan, clips: HeldOut
) -> Iterator[tuple]:
    batches = BATCHES[-1:] if ON_CHIP else BATCHES
    for B in sorted({min(B, len(clips.video)) for B in batches}):
        actions = None if clips.actions is None else clips.actions[:B]
        keys = row_keys(0, np.array(plan.numbers[:B]), np.zeros(B, int))
        shape = (clips.video[:B], plan.prime, plan.overlap, keys, RULE, actions)
        yield from _compared(sampler, shape)


def _compared(sampler: Sampler, shape: tuple) -> Iterator[tuple]:
    """A row for every schedule, and how many of its videos are not the same."""
    wanted, slowest = None, 0.0
    for name, schedule in SCHEDULES.items():
        one = replace(sampler, schedule=schedule)
        made = one.continue_video(*shape)  # compiles
        wanted = made.video if wanted is None else wanted
        spent = seconds(partial(one.continue_video, *shape), CLOCK)
        slowest = slowest or spent
        passes, B = made.passes, len(made.video)
        yield (
            B,
            name,
            f"{spent / B:.2f}",
            f"**{slowest / spent:.1f}x**",
            f"{made.pixels_per_pass:.1f}",
            f"{made.pixels / passes.max():.1f} to {made.pixels / passes.min():.1f}",
            int((made.video != wanted).any((1, 2, 3, 4)).sum()),
        )


HEADER = ("model", "videos", "schedule, window", "ms a pass", "passes a slice",
          "s a slice", "faster", "GB", "floor, s", "measured / floor")  # fmt: skip


def of_slices(models: dict[str, tuple[Model, tuple]], batches: Sequence[int]) -> None:
    """A table of one slice by every schedule, for each model and batch."""
    bandwidth = copy_bandwidth(CLOCK)
    print_rows(HEADER, _slice_rows(models, batches, bandwidth))
    print(f"\nA copy of memory: {bandwidth / 1e9:.0f} GB/s, read and written.")


def _slice_rows(
    models: dict[str, tuple[Model, tuple]], batches: Sequence[int], bandwidth: float
) -> Iterator[tuple]:
    for label, (model, (graphdef, params)) in models.items():
        weights = sum(leaf.nbytes for leaf in jax.tree.leaves(params["decoder"]))
        for B in batches:
            slowest = 0.0
            for name in SCHEDULES:
                program = one_slice(model, graphdef, params, name, B)
                own = int(program.run(1).passes.max())
                # What stands beside the passes is in it.
                of_pass = seconds(partial(program.run, 1), CLOCK) / own
                passes = passes_of_trained(name, pixels_of(model), own)
                whole, floor = of_pass * passes, weights * passes / bandwidth
                slowest = slowest or whole
                yield (
                    label, B, name, f"{of_pass * 1e3:.2f}", passes,
                    f"{whole:.2f}", f"**{slowest / whole:.1f}x**",
                    f"{program.memory / 1e9:.2f}", f"{floor:.2f}",
                    f"{whole / floor:.1f}",
                )  # fmt: skip


def on_one_core() -> None:
    """Random weights at the paper's slice shape."""
    print_title("One slice of 4x32x32 by every schedule (random weights: time only)")
    small = Model(de=64, d=128, na=4, da=32)
    models = {"d 128": small, "d 512": Model()} if WIDE else {"d 128": small}
    key = jax.random.key(0)
    for_each = {name: (model, create(model, key)) for name, model in models.items()}
    of_slices(for_each, BATCHES)


if __name__ == "__main__":
    if RUN:
        of_trained(Path(RUN))
    else:
        on_one_core()
