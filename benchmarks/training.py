"""Training: time of a step, wait for its input, and overhead beside the products.

On one CPU core; `training_on_gpu.py` has the paper's models on an accelerator.

    python benchmarks/training.py > benchmarks/results/training.md
"""

import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import least_cpu_seconds, print_rows, print_title, use_one_core

use_one_core()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from reference import REFERENCE  # noqa: E402
from steps import Training  # noqa: E402

from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest  # noqa: E402  # noqa: E402
from svtcli.clips.loader import prefetch, training_batches  # noqa: E402
from svtcli.clips.reader import open_clips  # noqa: E402
from svtcli.clips.writer import ShardWriter  # noqa: E402
from svtcli.model.flops import training_flops  # noqa: E402
from svtcli.model.windows import slice_choices  # noqa: E402
from svtcli.recipe.model import Model  # noqa: E402
from svtcli.recipe.schema import Train  # noqa: E402

WIDE = Model(encoder_layers=1, decoder_layers=1, blocks=((4, 8, 4),))
"""The paper's base model (§4.1) at its width of 512, one layer each side."""
CLIPS, LENGTH = 200, 30


def products(training: Training) -> Counter:
    """Each kind of matrix product in the step, and how often it is computed."""
    sys.path.append(str(Path(__file__).parents[1]))
    from tests.products import equations

    traced = jax.make_jaxpr(training.update)(training.abstract, training.inputs)
    kinds: Counter = Counter()
    for equation, times in equations(traced.jaxpr):
        if equation.primitive.name == "dot_general":
            sides = tuple((v.aval.shape, str(v.aval.dtype)) for v in equation.invars)
            numbers = equation.params["dimension_numbers"]
            kind = str(equation.params["preferred_element_type"])
            kinds[sides, numbers, kind] += times
    return kinds


def seconds_of_products(training: Training) -> float:
    """CPU seconds of all products of a step, each computed by itself."""
    total = 0.0
    for ((left, right), numbers, _), times in products(training).items():
        a, b = (jnp.ones(shape, dtype) for shape, dtype in (left, right))
        alone = jax.jit(lambda a, b, n=numbers: jax.lax.dot_general(a, b, n))
        alone(a, b).block_until_ready()
        total += times * least_cpu_seconds(
            lambda f=alone, a=a, b=b: f(a, b).block_until_ready(), rounds=5
        )
    return total


def write_clips(folder: Path, model: Model) -> Path:
    """Prepared clips of noise."""
    shape = (*model.video[1:], model.channels)
    rng = np.random.default_rng(0)
    with ShardWriter(folder, "train-00000-of-00001", Layout(shape)) as writer:
        for i in range(CLIPS):
            video = rng.integers(0, 256, (LENGTH, *shape), dtype=np.uint8)
            writer.add(ClipFacts(f"{i}", f"{i}"), video)
    split = Split(CLIPS, CLIPS * LENGTH, (writer.shard,))
    manifest = Manifest(
        spec={},
        inventory="",
        shape=shape,
        splits={"train": split},
        failures={},
        fingerprint="noise",
    )
    write_manifest(folder, manifest)
    return folder


def share_of_waiting(training: Training, steps: int = 40) -> float:
    """Share of a training loop's time spent waiting for the next batch."""
    model, settings = training.model, training.settings
    with TemporaryDirectory() as place:
        clips = open_clips(write_clips(Path(place), model), "train")
        choices = slice_choices(model, settings.prime, settings.batch)
        batches = prefetch(training_batches(clips, model.video[0], choices, 0), 0)
        waited, begun = 0.0, time.perf_counter()
        for _ in range(steps):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            training.take(
                {
                    "video": batch.video,
                    "slice_index": batch.slice_index,
                    "actions": batch.actions,
                }
            )
        total = time.perf_counter() - begun
        batches.close()
    return waited / total


def on_one_core() -> None:
    """The three claims that a CPU can show."""
    small = Training(REFERENCE, Train(batch=8))
    small.take()
    step = least_cpu_seconds(small.take, rounds=20)
    waiting = share_of_waiting(small)
    wide = Training(WIDE, Train(batch=1))
    wide.take()
    whole = least_cpu_seconds(wide.take, rounds=3)
    alone = seconds_of_products(wide)
    print_title("Training on one CPU core")
    rows = [
        ("step of 8 slices, reference configuration, CPU-s", f"{step:.3f}", "≤ 0.28"),
        ("the same, GFLOP/s", f"{training_flops(REFERENCE, 8) / step / 1e9:.1f}", ""),
        ("share of a loop's time spent waiting for input", f"{waiting:.2%}", "≈ 0"),
        (
            "step of 1 slice at width 512, one layer each side, CPU-s",
            f"{whole:.2f}",
            "",
        ),
        ("its matrix products, each by itself, CPU-s", f"{alone:.2f}", ""),
        ("step against its products", f"{whole / alone:.2f}", "≤ 1.6"),
    ]
    print_rows(("what", "measured", "aim"), rows)


if __name__ == "__main__":
    on_one_core()
