"""The schedules of sampling against each other: the same samples, in fewer passes.

Each continues the same clips with the same noise. What is printed is CPU seconds of a
video, the pixels that a pass makes final, and the ratio to one pixel at a time; times
and passes are of one batch, compilation apart.

How many guesses hold depends on how sharp the model is, so only a trained one says
anything about pixels per pass. RUN is the folder of one, in the working directory of
its training; without it there are random weights, whose time per pass alone counts.

    python benchmarks/sampling.py [RUN] > benchmarks/results/sampling.md
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from measure import least_cpu_seconds, print_rows, print_title, use_one_core

use_one_core()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from reference import REFERENCE  # noqa: E402

from svtcli.recipe.schema import Sample  # noqa: E402
from svtcli.run.directory import RunFolder  # noqa: E402
from svtcli.sampling.choice import Choice  # noqa: E402
from svtcli.sampling.guess import guess_slice  # noqa: E402
from svtcli.sampling.noise import row_keys  # noqa: E402
from svtcli.sampling.parallel import sample_slice_in_steps  # noqa: E402
from svtcli.sampling.sampler import MakeSlice, Sampler  # noqa: E402
from svtcli.sampling.sequential import sample_slice  # noqa: E402
from svtcli.stages.held_out import plan_held_out, read_held_out  # noqa: E402
from svtcli.stages.trained import load_network, open_checkpoint  # noqa: E402

SCHEDULES: dict[str, MakeSlice] = {
    "sequential": sample_slice,
    "parallel": sample_slice_in_steps,
    **{f"guess, {W}": partial(guess_slice, window=W) for W in (16, 64, 256)},
}
BATCHES = (1, 4)


def trained(run: Path) -> tuple[Sampler, np.ndarray, Sample]:
    """The run's sampler, held-out clips to continue, and how its recipe does."""
    checkpoint = open_checkpoint(RunFolder(run))
    settings, model = checkpoint.recipe.sample, checkpoint.recipe.model
    plan = plan_held_out(checkpoint, settings, None, max(BATCHES))
    network = load_network(checkpoint)
    sampler = Sampler(model, network.graphdef, network.params)
    return sampler, read_held_out(plan).video, settings


def untrained() -> tuple[Sampler, np.ndarray, Sample]:
    """Random weights and random pixels."""
    from svtcli.model.svt import create

    rng = np.random.default_rng(0)
    shape = (max(BATCHES), *REFERENCE.video, REFERENCE.channels)
    video = rng.integers(0, 256, shape, dtype=np.uint8)
    sampler = Sampler(REFERENCE, *create(REFERENCE, jax.random.key(0)))
    return sampler, video, Sample(prime=1)


def measure(sampler: Sampler, video: np.ndarray, settings: Sample) -> list[tuple]:
    """A row for every schedule; ends where samples are not the same."""
    keys = row_keys(0, np.arange(len(video)), np.zeros(len(video), int))
    rows, wanted, slowest = [], None, 0.0
    for name, make_slice in SCHEDULES.items():
        one = replace(sampler, make_slice=make_slice)

        def run(one: Sampler = one):
            return one.continue_video(
                video,
                settings.prime or 1,
                settings.overlap or settings.prime or 1,
                keys,
                Choice.of(settings.temperature),
            )

        made = run()  # compiles
        wanted = made.video if wanted is None else wanted
        differ = int((made.video != wanted).any((1, 2, 3, 4)).sum())
        seconds = least_cpu_seconds(run, rounds=2)
        slowest = slowest or seconds
        passes = made.passes
        rows.append(
            (
                len(video),
                name,
                f"{seconds / len(video):.2f}",
                f"{made.pixels_per_pass:.1f}",
                f"{made.pixels / passes.max():.1f} to {made.pixels / passes.min():.1f}",
                f"{seconds / passes.max() * 1e3:.2f}",
                f"**{slowest / seconds:.1f}x**",
                differ,
            )
        )
    return rows


def main() -> None:
    """Measure and print."""
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    sampler, video, settings = trained(run) if run else untrained()
    what = "trained, held-out clips" if run else "random weights: time only"
    print_title(f"The schedules of sampling against each other ({what})")
    t, h, w = sampler.config.slice_shape
    print(
        f"Slices {t}x{h}x{w}, d {sampler.config.d}, "
        f"{sampler.config.decoder_layers} decoder layers, "
        f"videos {video.shape[1:]}, temperature {settings.temperature:g}.\n"
    )
    header = (
        "videos", "schedule, window", "CPU s a video", "pixels a pass",
        "of the videos", "CPU ms a pass", "faster", "videos that differ",
    )  # fmt: skip
    rows = [row for B in BATCHES for row in measure(sampler, video[:B], settings)]
    print_rows(header, rows)


if __name__ == "__main__":
    main()
