"""Scratch memory of CPU training: keep it instead of asking for it again every step.

XLA's CPU backend allocates the scratch space of a step when it begins and frees it at
its end. glibc gives blocks of that size back to the system at once, so each step starts
by faulting in every page anew: a quarter of its time was seen to go there
(benchmarks/host_memory.py).
"""

import ctypes

# Parameters of mallopt(3), as in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process; False where the C library can't.

    The process keeps its peak for as long as it lives, so this is for commands that
    train. To be called before any thread starts: each would get a heap of its own.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    # One heap for all threads, grown in place and never trimmed.
    settings = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER}
    return all(mallopt(name, value) for name, value in settings.items())
