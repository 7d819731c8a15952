"""Training: a step, the wait for its input, and what stands beside its products.

On one CPU core. On an accelerator, `--chip` measures the paper's base and large models
in bfloat16 instead: milliseconds, slices per second, MFU against the chip's peak and
against its own measured matrix products, and memory; each in a process of its own, as
memory that was in use once counts for good. `--tiny` is for trying it anywhere.

    python benchmarks/training.py > benchmarks/results/training.md
    python benchmarks/training.py --chip > benchmarks/results/training_chip.md
    python benchmarks/training.py --chip --tiny
"""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measure import least_cpu_seconds, print_rows, print_title, use_one_core

ON_CHIP, TINY = "--chip" in sys.argv, "--tiny" in sys.argv
if not ON_CHIP:
    use_one_core()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from reference import REFERENCE  # noqa: E402

from svtcli.data.clips import open_clips  # noqa: E402
from svtcli.data.loader import prefetch, training_batches  # noqa: E402
from svtcli.data.manifest import Manifest, Split, write_manifest  # noqa: E402
from svtcli.data.shards import ClipFacts, Layout, ShardWriter  # noqa: E402
from svtcli.model.flops import training_flops  # noqa: E402
from svtcli.model.priming import slice_choices  # noqa: E402
from svtcli.model.svt import create, structure  # noqa: E402
from svtcli.recipe.load import load_recipe  # noqa: E402
from svtcli.recipe.model import Model  # noqa: E402
from svtcli.recipe.schema import Train  # noqa: E402
from svtcli.training.chips import peak_flops  # noqa: E402
from svtcli.training.objective import recipe_update  # noqa: E402
from svtcli.training.state import abstract_state, first_state  # noqa: E402
from svtcli.training.step import jit_update  # noqa: E402

WIDE = Model(encoder_layers=1, decoder_layers=1, blocks=((4, 8, 4),))
"""The paper's base model (§4.1) at its width of 512, one layer each side."""
CLIPS, LENGTH = 200, 30


class Training:
    """A compiled step and its state."""

    def __init__(self, model: Model, settings: Train) -> None:
        self.model, self.settings = model, settings
        self.inputs = random_inputs(model, settings.batch)
        graphdef, shapes = structure(model)
        self.update = recipe_update(graphdef, model, settings)
        self.abstract = abstract_state(shapes, settings)
        self.step = jit_update(self.update, self.abstract, self.inputs)
        _, params = create(model, jax.random.key(0))
        self.state = first_state(params, settings)

    def take(self, inputs: dict[str, Any] | None = None) -> None:
        """One step, finished."""
        self.state, metrics = self.step(self.state, inputs or self.inputs)
        jax.block_until_ready((self.state, metrics))


def random_inputs(model: Model, rows: int) -> dict[str, Any]:
    """A batch of noise."""
    shape = (rows, *model.video, model.channels)
    video = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    choices = slice_choices(model, 1, rows)
    index = np.array([choice[row % len(choice)] for row, choice in enumerate(choices)])
    actions = np.zeros((rows, model.video[0], model.actions), np.float32)
    return {
        "video": video,
        "slice_index": index.astype(np.int32),
        "actions": actions if model.actions else None,
    }


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
    """How much of the time of a training loop goes by waiting for the next batch."""
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


RECIPES = ("bair_spatiotemporal", "bair_large")
SLICES = 4 if TINY else 64
PARTS = (1, 2, 4, 8, 16)
"""Of a batch: as few of them are tried as fit."""
TINY_MODEL = (
    *("model.video=[4,64,64]", "model.d=32", "model.de=8", "model.da=4", "model.na=2"),
    *("model.encoder_layers=2", "model.decoder_layers=2"),
)


def on_chip() -> None:
    """The paper's models on the accelerator here, which this process never touches."""
    products = in_own_process("--products")
    kind, rate, peak = products["kind"], products["rate"], products["peak"]
    side = products["side"]
    print_title(f"Training on {kind}")
    known = f" of {peak / 1e12:.0f} in its data sheet" if peak else ""
    print(
        f"A bf16 product of {side} x {side} x {side} runs at {rate / 1e12:.3g} TFLOP/s"
        f"{known}. Batches of {SLICES} slices, in as few parts as fit.\n"
    )
    rows = [
        row_of(name, remat, rate, peak) for name in RECIPES for remat in (False, True)
    ]
    header = (
        *("recipe", "remat", "parts", "ms", "slices/s", "of products", "MFU"),
        *("GB in use", "GB planned"),
    )
    print_rows(header, rows)


def in_own_process(*arguments: str) -> dict[str, Any]:
    """What this script says when it is called so; `error` where it fails."""
    tiny = ["--tiny"] if TINY else []
    command = [sys.executable, __file__, "--chip", *tiny, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.splitlines()
        full = [line for line in lines if "RESOURCE_EXHAUSTED" in line]
        named = [line for line in lines if re.match(r"[\w.]+: ", line)]
        return {"error": (full or named or [f"exit {done.returncode}"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def row_of(name: str, remat: bool, rate: float, peak: float | None) -> tuple[str, ...]:
    """A recipe in as few parts as fit, or why it does not run."""
    for parts in PARTS:
        found = in_own_process("--step", name, f"{remat}".lower(), f"{parts}")
        if "RESOURCE_EXHAUSTED" not in found.get("error", ""):
            break
    settled = (name, "yes" if remat else "no", f"{parts}")
    if "error" in found:
        return (*settled, found["error"].replace("|", "/")[:80], *[""] * 5)
    seconds, batch = found["seconds"], found["batch"]
    done = found["flops"] / seconds
    in_use = found["in_use"]
    return (
        *settled,
        f"{1e3 * seconds:.0f}",
        f"{batch / seconds:.1f}",
        f"{done / rate:.0%}",
        f"{done / peak:.0%}" if peak else "",
        f"{in_use / 1e9:.1f}" if in_use else "",
        f"{found['planned'] / 1e9:.1f}",
    )


def measure_products() -> dict[str, Any]:
    """FLOP/s of one large matrix product in bfloat16, and the chip's name and peak."""
    side = 256 if TINY else 8192
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


def measure_step(name: str, remat: str, parts: str) -> dict[str, Any]:
    """Ten steps of a recipe's model: seconds of one, and memory."""
    changes = (
        *(f"train.batch={SLICES}", "train.precision=bfloat16", f"train.remat={remat}"),
        *(f"train.accumulate={parts}", *(TINY_MODEL if TINY else ())),
    )
    recipe = load_recipe(name, changes).recipe
    training = Training(recipe.model, recipe.train)
    planned: Any = training.step
    memory = planned.memory_analysis()
    for _ in range(3):
        training.take()
    begun = time.perf_counter()
    for _ in range(10):
        training.state, metrics = training.step(training.state, training.inputs)
    jax.block_until_ready((training.state, metrics))
    seconds = (time.perf_counter() - begun) / 10
    if not bool(metrics.finite):
        raise ValueError("the loss or its gradient is not finite")
    return {
        "seconds": seconds,
        "batch": recipe.train.batch,
        "flops": training_flops(recipe.model, recipe.train.batch),
        "in_use": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
        "planned": memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes,
    }


def main() -> None:
    """What the command line asks for."""
    if "--products" in sys.argv:
        print(json.dumps(measure_products()))
    elif "--step" in sys.argv:
        print(json.dumps(measure_step(*sys.argv[sys.argv.index("--step") + 1 :])))
    elif ON_CHIP:
        on_chip()
    else:
        on_one_core()


if __name__ == "__main__":
    main()
