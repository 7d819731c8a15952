"""Environment variables that could change results: a recipe and its seed decide those.

Libraries take settings from the shell that no fingerprint knows. Those of jax are
ignored unless they are known to leave results as they are; XLA's flags, of which one
variable holds all, are refused.
"""

import os
import re
import subprocess
import sys
from collections.abc import MutableMapping

from svtcli.failure import Refused

READ_BY_LIBRARIES = re.compile(
    r"(JAX|JAX2TF|FLAX|NNX)_.*|EAGER_CONSTANT_FOLDING|CHECK_VMA|MOCK_NUM_GPU_PROCESSES"
    r"|NVIDIA_TF32_OVERRIDE|PJRT_NPROC"
)
"""Variables that jax, flax, XLA and NVIDIA's libraries take settings from."""
HARMLESS = re.compile(
    r"JAX_(PLATFORMS|PLATFORM_NAME|\w+_VISIBLE_DEVICES|NUM_CPU_DEVICES"
    r"|LOCAL_DEVICE_IDS|NUM_PROCESSES|PROCESS_ID|SLICE_INDEX|PARTITION_INDEX"
    r"|(COORDINATOR|CROSS_HOST|CPU_COLLECTIVES|CPU_GET)_\w+"
    r"|(ENABLE_|RAISE_)?(COMPILATION|PERSISTENT)_CACHE\w*|SHARE_BINARY_\w+"
    r"|LOG_\w+|LOGGING_LEVEL|DEBUG_LOG_MODULES|DUMP_IR_\w+|EXPLAIN_CACHE_MISSES"
    r"|TRACEBACK_\w+|CHECK_PROXY_ENVS|PJRT_CLIENT_CREATE_OPTIONS)"
)
"""Those that choose devices, processes, caches and messages."""
PINNED: dict[str, object] = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_default_matmul_precision": None,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_transfer_guard": "allow",
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
}
"""Settings of jax that decide results, for programs that have set them in Python."""
XLA_HARMLESS = re.compile(
    r"--xla_(force_host_platform_device_count|dump_\w+|hlo_profile|gpu_cuda_data_dir"
    r"|gpu_(deterministic|exclude_nondeterministic)_ops|gpu_\w*autotune_cache\w*"
    r"|gpu_\w+_combine_threshold_bytes|gpu_memory_limit_slop_factor|gpu_graph_\w+"
    r"|gpu_enable_(latency_hiding_scheduler|command_buffer|pipelined_\w+|async_\w+"
    r"|highest_priority_async_stream|while_loop_double_buffering))"
)
"""Flags that choose devices, memory, the order of work, and dumps."""
XLA_READS = "from jaxlib import _jax; _jax.CompileOptions()"
"""The shortest program in which XLA reads its flags, and ends it for a wrong one."""
XLA_SAYS = re.compile(
    r"(Unknown flag|Couldn't interpret|Could not open|unterminated).*", re.IGNORECASE
)


def ignore_variables(environ: MutableMapping[str, str] = os.environ) -> list[str]:
    """Remove what could change results, before jax is imported; return the names."""
    ignored = [
        name
        for name in environ
        if READ_BY_LIBRARIES.fullmatch(name) and not HARMLESS.fullmatch(name)
    ]
    for name in ignored:
        del environ[name]
    environ.pop("MPLBACKEND", None)  # a wrong one ends the import of matplotlib
    return ignored


def check_xla_flags() -> None:
    """Refuse flags that XLA does not know, or that could change results.

    XLA ends the process that has a wrong flag, so another one tries them.
    """
    text = os.environ.get("XLA_FLAGS", "")
    if not text.strip():
        return
    tried = subprocess.run(  # noqa: S603
        (sys.executable, "-c", XLA_READS), stderr=-1, text=True, errors="replace"
    )
    if tried.returncode and (said := XLA_SAYS.search(tried.stderr)):
        what = said[0].replace(" in XLA_FLAGS", "")
        raise Refused(f"XLA_FLAGS: {what}", "correct XLA_FLAGS, or unset it")
    for flag in text.split():
        if not XLA_HARMLESS.fullmatch(flag.partition("=")[0]):
            raise Refused(
                f"XLA_FLAGS: {flag} could change results, which a recipe and its seed "
                "decide",
                "leave it out of XLA_FLAGS",
            )
