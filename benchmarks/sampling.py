"""The schedules of sampling against each other: the same samples, in fewer passes.

With RUN, the folder of a trained run in the working directory of its training: its
held-out clips continued on one CPU core. How many guesses hold depends on how sharp a
model is, so only a trained one says anything about pixels per pass.

Without it, random weights and one slice of the paper's 4x32x32: time alone; `--wide`
adds the base model's width, long on a CPU. The last columns put the weights that all
passes read against what a copy of memory takes.

With `--chip`, the paper's large BAIR model (373 M) in bfloat16 on the accelerator: one
slice by every schedule, in wall seconds, then four whole videos of 30x64x64 by the
schedule that `auto` takes. `--tiny` is for trying it anywhere.

    python benchmarks/sampling.py RUN > benchmarks/results/sampling_trained.md
    python benchmarks/sampling.py > benchmarks/results/sampling.md
    python benchmarks/sampling.py --chip > benchmarks/results/sampling_chip.md
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from measure import print_rows, print_title, use_one_core

ON_CHIP, TINY, WIDE = (word in sys.argv for word in ("--chip", "--tiny", "--wide"))
RUN = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
if not ON_CHIP:
    use_one_core()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from svtcli.model.svt import create, for_products_in  # noqa: E402
from svtcli.recipe.load import load_recipe  # noqa: E402
from svtcli.recipe.model import Model  # noqa: E402
from svtcli.recipe.schema import Sample  # noqa: E402
from svtcli.run.directory import RunFolder  # noqa: E402
from svtcli.sampling.choice import Choice  # noqa: E402
from svtcli.sampling.cost import pixels_per_pass  # noqa: E402
from svtcli.sampling.guess import guess_slice  # noqa: E402
from svtcli.sampling.noise import row_keys  # noqa: E402
from svtcli.sampling.parallel import sample_slice_in_steps  # noqa: E402
from svtcli.sampling.sampler import MakeSlice, Sampler  # noqa: E402
from svtcli.sampling.sequential import sample_slice  # noqa: E402
from svtcli.sampling.unmade import Wanted  # noqa: E402
from svtcli.stages.held_out import plan_held_out, read_held_out  # noqa: E402
from svtcli.stages.schedules import schedule_of  # noqa: E402
from svtcli.stages.trained import load_network, open_checkpoint  # noqa: E402

CHOICE = Choice.of(0.9)
WINDOWS = (16, 64, 256)
SCHEDULES: dict[str, MakeSlice] = {
    "sequential": sample_slice,
    "parallel": sample_slice_in_steps,
    **{f"guess, {W}": partial(guess_slice, window=W) for W in WINDOWS},
}
BATCHES = (1, 4, 16)
VIDEOS, FRAMES = 4, 30
"""Of the headline: what took the paper about eight minutes on a V100."""


def seconds(work: Callable[[], object]) -> float:
    """The least of two calls: CPU seconds, or on an accelerator those of the wall."""
    clock = time.perf_counter if ON_CHIP else time.process_time
    spent = []
    for _ in range(2):
        begun = clock()
        work()
        spent.append(clock() - begun)
    return min(spent)


def of_trained(run: Path) -> None:
    """Whole continuations of held-out clips by a trained run."""
    checkpoint = open_checkpoint(RunFolder(run))
    settings, model = checkpoint.recipe.sample, checkpoint.recipe.model
    plan = plan_held_out(checkpoint, settings, None, max(BATCHES[:2]))
    parts, clips = load_network(checkpoint), read_held_out(plan)
    sampler = Sampler(model, parts.graphdef, parts.params)
    print_title("The schedules of sampling on a trained model's held-out clips")
    t, h, w = model.slice_shape
    print(
        f"{checkpoint.step} training steps; slices {t}x{h}x{w}, d {model.d}, "
        f"{model.decoder_layers} decoder layers, {plan.frames} frames of which "
        f"{plan.prime} are given, temperature {settings.temperature:g}.\n"
    )
    header = ("videos", "schedule, window", "CPU s a video", "faster",
              "pixels a pass", "of the videos", "videos that differ")  # fmt: skip
    rows: list[tuple] = []
    for B in sorted({min(B, len(clips.video)) for B in BATCHES[:2]}):
        actions = None if clips.actions is None else clips.actions[:B]
        keys = row_keys(0, np.array(plan.numbers[:B]), np.zeros(B, int))
        shape = (clips.video[:B], plan.prime, plan.overlap, keys, CHOICE, actions)
        rows += _compared(sampler, shape)
    print_rows(header, rows)


def _compared(sampler: Sampler, shape: tuple) -> list[tuple]:
    """A row for every schedule, and how many of its videos are not the same."""
    rows, wanted, slowest = [], None, 0.0
    for name, make_slice in SCHEDULES.items():
        one = replace(sampler, make_slice=make_slice)
        made = one.continue_video(*shape)  # compiles
        wanted = made.video if wanted is None else wanted
        spent = seconds(partial(one.continue_video, *shape))
        slowest = slowest or spent
        passes, B = made.passes, len(made.video)
        rows.append(
            (
                B,
                name,
                f"{spent / B:.2f}",
                f"**{slowest / spent:.1f}x**",
                f"{made.pixels_per_pass:.1f}",
                f"{made.pixels / passes.max():.1f} to {made.pixels / passes.min():.1f}",
                int((made.video != wanted).any((1, 2, 3, 4)).sum()),
            )
        )
    return rows


@dataclass(frozen=True)
class Pass:
    """One slice by one schedule, with random weights."""

    seconds: float
    """Of one pass; what stands beside the passes is in it."""
    passes: int
    """That a trained model takes for a slice: of guesses, as many as its cost model
    reckons with, for random weights' own say nothing."""
    memory: int
    """Bytes of what goes in and out of the program and what it needs besides."""


def one_slice(model: Model, params: tuple, name: str, B: int) -> Pass:
    """Make slice 5 of a batch of grey windows of which a frame is given."""
    codes = jnp.full((B, *model.video, model.codes), model.values // 2, jnp.uint8)
    keys = row_keys(0, np.arange(B), np.zeros(B, int))
    wanted = Wanted(jnp.array(min(5, model.slices - 1)), jnp.array(1), jnp.array(0),
                    keys, CHOICE)  # fmt: skip
    make = partial(SCHEDULES[name], params[0], config=model, first=False)

    def program(params, codes, wanted):
        return make(params=params, codes=codes, wanted=wanted)

    compiled = jax.jit(program, donate_argnums=1).lower(params[1], codes, wanted)
    ready = compiled.compile()
    made = jax.block_until_ready(ready(params[1], codes + 0, wanted))
    spent = seconds(lambda: jax.block_until_ready(ready(params[1], codes + 0, wanted)))
    own, needs = int(made.passes.max()), ready.memory_analysis()
    pixels = int(np.prod(model.slice_shape))
    guessed = name.startswith("guess")
    window = min(int(name.split()[1]), pixels) if guessed else 1
    return Pass(
        spent / own,
        round(pixels / pixels_per_pass(window)) if guessed else own,
        needs.argument_size_in_bytes
        + needs.temp_size_in_bytes
        + needs.output_size_in_bytes
        - needs.alias_size_in_bytes,
    )


def copy_bandwidth() -> float:
    """Bytes a second that a copy of a large array reads and writes."""
    numbers = jnp.zeros(2**20 if TINY else 2**27, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(numbers))
    return 2 * numbers.nbytes / seconds(lambda: jax.block_until_ready(copy(numbers)))


HEADER = ("model", "videos", "schedule, window", "ms a pass", "passes a slice",
          "s a slice", "faster", "GB", "floor, s", "measured / floor")  # fmt: skip


def of_slices(models: dict[str, tuple[Model, tuple]], batches: Sequence[int]) -> None:
    """A table of one slice by every schedule, for each model and batch."""
    bandwidth = copy_bandwidth()
    print_rows(HEADER, _slice_rows(models, batches, bandwidth))
    print(f"\nA copy of memory: {bandwidth / 1e9:.0f} GB/s, read and written.")


def _slice_rows(
    models: dict[str, tuple[Model, tuple]], batches: Sequence[int], bandwidth: float
) -> Iterator[tuple]:
    for label, (model, params) in models.items():
        weights = sum(leaf.nbytes for leaf in jax.tree.leaves(params[1]["decoder"]))
        for B in batches:
            slowest = 0.0
            for name in SCHEDULES:
                found = one_slice(model, params, name, B)
                whole = found.seconds * found.passes
                slowest = slowest or whole
                floor = weights * found.passes / bandwidth
                yield (
                    label, B, name, f"{found.seconds * 1e3:.2f}", found.passes,
                    f"{whole:.2f}", f"**{slowest / whole:.1f}x**",
                    f"{found.memory / 1e9:.2f}", f"{floor:.2f}", f"{whole / floor:.1f}",
                )  # fmt: skip


def on_one_core() -> None:
    """Random weights at the paper's slice shape."""
    print_title("One slice of 4x32x32 by every schedule (random weights: time only)")
    small = Model(de=64, d=128, na=4, da=32)
    models = {"d 128": small, "d 512": Model()} if WIDE else {"d 128": small}
    key = jax.random.key(0)
    for_each = {name: (model, create(model, key)) for name, model in models.items()}
    of_slices(for_each, BATCHES[:2])


def on_chip() -> None:
    """The headline: the paper's large model, on the accelerator here."""
    model = load_recipe("bair_large").recipe.model
    if TINY:
        model = replace(model, video=(4, 16, 16), d=32, de=8, da=4, na=2,
                        encoder_layers=2, decoder_layers=2)  # fmt: skip
    graphdef, params = create(model, jax.random.key(0))
    params = for_products_in(params, jnp.bfloat16)
    device = jax.devices()[0]
    print_title(f"Sampling with the large model in bfloat16 ({device.device_kind})")
    of_slices({"bair_large": (model, (graphdef, params))}, BATCHES)
    settings = Sample(schedule="auto", precision="bfloat16")
    chosen = schedule_of(settings, model, VIDEOS)
    sampler = Sampler(model, graphdef, params, chosen.make_slice)
    frames = model.video[0] + 2 if TINY else FRAMES
    video = np.zeros((VIDEOS, frames, *model.video[1:], model.channels), np.uint8)
    keys = row_keys(0, np.arange(VIDEOS), np.zeros(VIDEOS, int))
    actions = np.zeros((VIDEOS, frames, model.actions), np.float32)
    given = actions if model.actions else None
    begun = time.perf_counter()
    sampler.continue_video(video, 1, 1, keys, CHOICE, given)
    compiled = time.perf_counter()
    made = sampler.continue_video(video, 1, 1, keys, CHOICE, given)
    spent = time.perf_counter() - compiled
    window = f", {chosen.window}" if chosen.window else ""
    print(
        f"\n**{VIDEOS} videos of {frames} frames: {spent:.1f} s** by {chosen.name}"
        f"{window} (random weights: {made.pixels_per_pass:.1f} pixels a pass); the "
        f"first call, which compiles, {compiled - begun:.1f} s."
    )


if __name__ == "__main__":
    if RUN:
        of_trained(Path(RUN))
    elif ON_CHIP:
        on_chip()
    else:
        on_one_core()
