"""Scratch memory of training on a CPU: kept, instead of requested again every step.

XLA's CPU backend allocates the scratch space of a step when it begins and frees it at
its end. glibc returns blocks of that size to the system at once, so each step would
begin by faulting in every page again: a quarter of its time, as measured by
benchmarks/host_memory.py.
"""

import ctypes

# Parameters of mallopt(3), as in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; False if the C library cannot.

    The process keeps its peak until it ends, so this is for commands that train. Call
    it before any thread starts: each would get a heap of its own.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    # One heap for all threads, grown in place and never trimmed.
    settings = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER}
    return all(mallopt(name, value) for name, value in settings.items())
