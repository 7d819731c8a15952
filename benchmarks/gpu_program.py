"""Programs that XLA compiles for an H100, analysed without a GPU.

For a sampling pass and a training step of the paper's large and base models in
bfloat16: kernels, bytes moved, FLOPs, and a lower bound on the time, in which each
kernel takes the longest of its bytes, its products and its launch, at the rates below.
Nothing is timed, but the counts show what a change saves, on any machine. Needs jax's
plugin for CUDA in the version of the installed jaxlib, but no driver and no CUDA
libraries:

    pip install --no-deps jax-cuda13-plugin==$JAXLIB jax-cuda13-pjrt==$JAXLIB
    python benchmarks/gpu_program.py > benchmarks/results/gpu_program.md

`--cuda` names the folder of libdevice and ptxas, which nvidia-cuda-nvcc has too.
"""

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

ASKED = argparse.ArgumentParser()
ASKED.add_argument("--cuda", default="/usr/local/cuda")
ASKED.add_argument("--kinds", action="store_true", help="also by kind of kernel")
ASKED.add_argument("only", nargs="*", help="rows whose name begins so")
ARGUMENTS = ASKED.parse_args()

os.environ["JAX_PLATFORMS"] = "cpu"
# No GPU, so nothing to tune kernels on: XLA takes what it takes untried.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + f" --xla_gpu_autotune_level=0 --xla_gpu_cuda_data_dir={ARGUMENTS.cuda}"
)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax._src import xla_bridge  # noqa: E402
from jax._src.pallas.triton import gpu_info  # noqa: E402
from jax.experimental import topologies  # noqa: E402
from kernels import Kernel, Program  # noqa: E402
from measure import print_rows, print_title  # noqa: E402
from slices import RULE, SCHEDULES  # noqa: E402

from svtcli.model.flops import training_flops  # noqa: E402
from svtcli.model.parameters import for_products_in  # noqa: E402
from svtcli.model.svt import structure  # noqa: E402
from svtcli.recipe.load import load_recipe  # noqa: E402
from svtcli.sample.sampling_rule import row_keys  # noqa: E402
from svtcli.sample.slice_state import SliceInputs, SliceResult, sample_slice  # noqa: E402
from svtcli.train.state import first_state  # noqa: E402
from svtcli.train.step import recipe_update  # noqa: E402

RATE, BANDWIDTH, START = 798e12, 3.0e12, 2e-6
"""FLOP/s of a bf16 product of 8,192 and bytes a second of a copy as measured on an H100
80GB HBM3; seconds of a kernel's start within a graph, about."""

TARGET = f"""
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info {{ major: 9 minor: 10 }}
gpu_device_info {{
  name: "NVIDIA H100 80GB HBM3"
  cuda_compute_capability {{ major: 9 }}
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  registers_per_block_limit: 65536 registers_per_core_limit: 65536
  shared_memory_per_block: {48 << 10} shared_memory_per_block_optin: {227 << 10}
  shared_memory_per_core: {228 << 10}
  block_dim_limit_x: {2**31 - 1} block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: {3352 * 10**9} device_memory_size: {81_008 << 20}
  l2_cache_size: {50 << 20}
  driver_version: "13.0.0" runtime_version: "13.0.0"
  compile_time_toolkit_version: "13.0.0" dnn_version: "9.10.0"
}}
"""


@dataclass(frozen=True)
class Compiled:
    """A program for the GPU."""

    program: Program
    memory: int
    """Bytes that it needs in all."""


def absent_gpu() -> jax.sharding.Sharding:
    """A place on a GPU that can be compiled for."""
    here = xla_bridge.canonicalize_platform

    def canonical(platform: str) -> str:
        """Stand-in for jax's own, which knows CUDA only where there is a device."""
        return "cuda" if platform in ("gpu", "cuda") else here(platform)

    xla_bridge.canonicalize_platform = canonical
    gpu_info.get_gpu_info = lambda: gpu_info.get_gpu_info_from_version(
        gpu_info.GpuVersion.H100
    )
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=TARGET, topology="1x1x1"
    )
    mesh = jax.sharding.Mesh(np.array(topology.devices), ("device",))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def compiled(
    place: jax.sharding.Sharding, work: Callable, donated: int, *inputs: Any
) -> Compiled:
    """`work` for the GPU at `place`, of inputs that are shapes."""
    there = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        inputs,
    )
    ready = jax.jit(work, donate_argnums=donated).lower(*there).compile()
    needs: Any = ready.memory_analysis()
    return Compiled(
        Program(ready.as_text()),
        needs.argument_size_in_bytes
        + needs.output_size_in_bytes
        - needs.alias_size_in_bytes
        + needs.temp_size_in_bytes,
    )


def sampling(place: jax.sharding.Sharding, name: str, B: int) -> Compiled:
    """A slice of the large BAIR model by a schedule."""
    model = load_recipe("bair_large").recipe.model
    graphdef, shapes = structure(model)
    params = jax.eval_shape(
        lambda each: for_products_in(graphdef, each, jnp.bfloat16), shapes
    )
    codes = jax.ShapeDtypeStruct((B, *model.video, model.codes), jnp.uint8)
    numbers = (jnp.array(5), jnp.array(1), jnp.array(0))
    keys = row_keys(0, np.arange(B), np.zeros(B, int))

    def program(params: Any, codes: Any, inputs: SliceInputs) -> SliceResult:
        parts = graphdef, params, model, codes, inputs
        return sample_slice(*parts, schedule=SCHEDULES[name])

    inputs = jax.eval_shape(lambda: SliceInputs(*numbers, keys, RULE))
    return compiled(place, program, 1, params, codes, inputs)


def training(place: jax.sharding.Sharding, name: str, rows: int, remat: bool) -> tuple:
    """A training step of a recipe on `rows` slices, and its FLOPs."""
    changes = (f"train.batch={rows}", "train.precision=bfloat16",
               f"train.remat={remat}".lower())  # fmt: skip
    recipe = load_recipe(name, changes).recipe
    model, settings = recipe.model, recipe.train
    graphdef, shapes = structure(model)
    state = jax.eval_shape(lambda params: first_state(params, settings), shapes)
    video = (rows, *model.video, model.channels)
    inputs = {
        "video": jax.ShapeDtypeStruct(video, jnp.uint8),
        "slice_index": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "actions": None,
    }
    update = recipe_update(graphdef, model, settings)
    return compiled(place, update, 0, state, inputs), training_flops(model, rows)


def least(kernel: Kernel) -> float:
    """Seconds that a kernel takes at least."""
    return max(kernel.moved / BANDWIDTH, kernel.flops / RATE, START)


PASSES = (
    *((4, name) for name in SCHEDULES),
    *((2, name) for name in SCHEDULES),
    (1, "sequential"),
)
STEPS = (
    *(("bair_spatiotemporal", 32, remat) for remat in (False, True)),
    *(("bair_large", 16, remat) for remat in (False, True)),
)


def pass_rows(place: jax.sharding.Sharding, kinds: dict) -> Iterator[tuple]:
    """One pass each."""
    for B, name in PASSES:
        title = f"{name}, {B} video{'s' * (B > 1)}"
        if not wanted(title):
            continue
        found = sampling(place, name, B)
        each = list(found.program.kernels(found.program.loops[0]))
        kinds[title] = each
        yield title, *_sums(each, 1e3), f"{found.memory / 1e9:.1f}"


def step_rows(place: jax.sharding.Sharding, kinds: dict) -> Iterator[tuple]:
    """One step each, without what is carried from step to step."""
    for name, rows, remat in STEPS:
        title = f"{name}, {rows} slices{', remat' * remat}"
        if not wanted(title):
            continue
        found, flops = training(place, name, rows, remat)
        each = list(found.program.kernels())
        kinds[title] = each
        share = flops / RATE / sum(map(least, each))
        yield title, *_sums(each, 1e3), f"{share:.0%}", f"{found.memory / 1e9:.1f}"


def _sums(kernels: list[Kernel], unit: float) -> tuple[object, ...]:
    return (
        len(kernels),
        f"{sum(each.read for each in kernels) / 1e9:.2f}",
        f"{sum(each.written for each in kernels) / 1e9:.2f}",
        f"{sum(each.flops for each in kernels) / 1e12:.3f}",
        f"{unit * sum(map(least, kernels)):.3f}",
    )


def wanted(title: str) -> bool:
    """Return True if the command line asks for that row."""
    only = ARGUMENTS.only
    return not only or any(title.startswith(each) for each in only)


def print_kinds(kinds: dict[str, list[Kernel]]) -> None:
    """The same by kind of kernel."""
    for title, kernels in kinds.items():
        by_kind: dict[str, list[Kernel]] = defaultdict(list)
        for each in kernels:
            by_kind[each.kind].append(each)
        print(f"\n{title}:\n")
        rows = [(kind, *_sums(each, 1e3)) for kind, each in by_kind.items()]
        print_rows(("kind", *SUMS), sorted(rows, key=lambda row: -float(row[-1])))


SUMS = ("kernels", "GB read", "GB written", "TFLOP", "ms at least")


def main() -> None:
    """Compile and print."""
    place, kinds = absent_gpu(), {}
    print_title("Programs for an H100, compiled without one")
    print(
        f"bfloat16. At {RATE / 1e12:.0f} TFLOP/s, {BANDWIDTH / 1e12:.1f} TB/s, "
        f"{1e6 * START:.0f} us a kernel; kernels not tuned.\n\n"
        "A pass of sampling, bair_large (373 M):\n"
    )
    print_rows(("schedule", *SUMS, "GB in all"), pass_rows(place, kinds))
    print("\nA training step:\n")
    header = ("recipe", *SUMS, "products' share at most", "GB in all")
    print_rows(header, step_rows(place, kinds))
    if ARGUMENTS.kinds:
        print_kinds(kinds)


if __name__ == "__main__":
    main()
