"""A CPU training step with and without keeping freed memory, each in its own process.

python benchmarks/host_memory.py > benchmarks/results/host_memory.md
"""

import json
import os
import resource
import subprocess
import sys

from measure import print_table

STEPS = 15


def child(keep: bool) -> None:
    """Run the quickstart's step and print user and system milliseconds of one."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import numpy as np

    from svtcli.model.likelihood import training_loss
    from svtcli.model.svt import create
    from svtcli.recipe.load import load_recipe
    from svtcli.train.memory import keep_freed_memory

    if keep:
        keep_freed_memory()
    config = load_recipe("quickstart").recipe.model
    graphdef, params = create(config, jax.random.key(0))
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (2, *config.video, 3), dtype=np.uint8)
    index = np.full(2, config.slices - 1, np.int32)
    step = jax.jit(
        jax.value_and_grad(
            lambda params, video, index: training_loss(
                graphdef, params, config, 1, video, index
            )[0]
        )
    )
    jax.block_until_ready(step(params, video, index))
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(STEPS):
        jax.block_until_ready(step(params, video, index))
    after = resource.getrusage(resource.RUSAGE_SELF)
    names = {"user": "ru_utime", "system": "ru_stime", "faults": "ru_minflt"}
    print(
        json.dumps(
            {
                name: (getattr(after, field) - getattr(before, field)) / STEPS
                for name, field in names.items()
            }
        )
    )


def measured(keep: bool) -> dict[str, float]:
    """Measure in a fresh process, because mallopt cannot be undone."""
    command = [sys.executable, __file__, "keep" if keep else "default"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure and print."""
    results = {False: measured(False), True: measured(True)}
    total = {keep: of["user"] + of["system"] for keep, of in results.items()}
    rows = [
        (
            "kept" if keep else "given back (default)",
            f"{of['user'] * 1e3:.0f}",
            f"{of['system'] * 1e3:.0f}",
            f"{of['faults']:,.0f}",
            f"{total[False] / total[keep]:.2f}x",
        )
        for keep, of in results.items()
    ]
    print_table(
        "Freed memory of a CPU training step (quickstart's model)",
        ("freed memory", "user ms", "system ms", "page faults", "speed"),
        rows,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(keep=sys.argv[1] == "keep")
    else:
        main()
