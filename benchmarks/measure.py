"""Shared by all benchmarks: description of the machine, CPU seconds, and a table.

Absolute times on a shared machine mean little; each script times everything that it
compares in one run, takes the minimum of several rounds, and prints ratios.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path


def use_one_core() -> None:
    """Keep this process on one core. Call before jax is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    )


def machine() -> str:
    """Processor, cores in use, Python and jax."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"
    return (
        f"{_processor()}, {cores} core(s); Python {platform.python_version()}, "
        f"jax {version('jax')}"
    )


def least_cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the quickest of `rounds` calls of `work`."""
    return min(cpu_seconds(work) for _ in range(rounds))


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process during one call of `work`."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence]) -> None:
    """A Markdown table with its title and the machine, ready to be committed."""
    print_title(title)
    print_rows(header, rows)


def print_title(title: str) -> None:
    """A Markdown title and the machine."""
    print(f"# {title}\n\n{machine()}\n")


def print_rows(header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """A Markdown table alone, each row as soon as it is there."""
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if "model name" in line).split(": ")[1]
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
