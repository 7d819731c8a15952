"""Settings for every test: CPU, a compilation cache, no deadlines.

XLA's fusion pass stays on: without it CPU programs compile faster, but jax 0.10.2 was
seen to compute wrong values (test_causality, with the network's parameters captured as
constants).
"""

import os
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# A first example may compile for seconds.
settings.register_profile("svt", deadline=None)
settings.load_profile("svt")
