"""One CPU core, the configuration of published code: a training step and a sample.

Video 8x16x16 RGB, s (4, 2, 2), k (5, 3, 3), de 64, d 128, 4 heads of 32, 4 + 4 layers.
rakhimovv/lvt (PyTorch) was measured at 0.28 CPU-s for a step of 8 slices and 22.7 CPU-s
for a sample on a loaded 2-core machine. The matrix product lets machines be compared.

    python benchmarks/reference.py > benchmarks/results/reference.md
"""

from measure import cpu_seconds, least_cpu_seconds, print_table, use_one_core

use_one_core()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from svtcli.model.likelihood import training_loss  # noqa: E402
from svtcli.model.svt import create, structure  # noqa: E402
from svtcli.recipe.model import Model  # noqa: E402
from svtcli.recipe.schema import Train  # noqa: E402
from svtcli.sample.sampler import Sampler  # noqa: E402
from svtcli.sample.sampling_rule import SamplingRule, row_keys  # noqa: E402
from svtcli.train.state import abstract_state, first_state  # noqa: E402
from svtcli.train.step import jit_update, make_update  # noqa: E402

REFERENCE = Model(
    video=(8, 16, 16),
    k=(5, 3, 3),
    de=64,
    d=128,
    na=4,
    da=32,
    encoder_layers=4,
    decoder_layers=4,
    blocks=((2, 4, 4), (2, 4, 4), (1, 8, 4), (1, 4, 8)),
)
PUBLISHED = {"training step, 8 slices": 0.28, "one sample, 1 prime frame": 22.7}
AIM = {"training step, 8 slices": 0.28, "one sample, 1 prime frame": 2.3}


def training_times() -> tuple[float, float]:
    """CPU seconds of compiling and of one whole step: loss, gradient, RMSProp."""
    graphdef, shapes = structure(REFERENCE)
    settings = Train(batch=8)

    def loss(params, inputs):
        return training_loss(graphdef, params, REFERENCE, 1, **inputs)

    rng = np.random.default_rng(0)
    inputs = {
        "video": rng.integers(0, 256, (8, *REFERENCE.video, 3), dtype=np.uint8),
        "slice_index": np.arange(8, dtype=np.int32),
    }
    update = make_update(loss, settings)
    compiled = []
    abstract = abstract_state(shapes, settings)
    compile_time = cpu_seconds(
        lambda: compiled.append(jit_update(update, abstract, inputs))
    )
    _, params = create(REFERENCE, jax.random.key(0))
    state = [first_state(params, settings)]

    def step() -> None:
        state[0], metrics = compiled[0](state[0], inputs)
        jax.block_until_ready((state[0], metrics))

    step()
    return compile_time, least_cpu_seconds(step, rounds=20)


def sampling_times() -> tuple[float, float]:
    """CPU seconds of compiling (with the first sample) and of one sample."""
    sampler = Sampler(REFERENCE, *create(REFERENCE, jax.random.key(0)))
    video = np.zeros((1, *REFERENCE.video, 3), np.uint8)
    keys = row_keys(0, np.zeros(1, int), np.zeros(1, int))

    def sample() -> None:
        sampler.continue_video(
            video, prime=1, overlap=1, keys=keys, rule=SamplingRule.of(0.9)
        )

    first = cpu_seconds(sample)
    again = least_cpu_seconds(sample, rounds=5)
    return first - again, again


def product_time() -> float:
    """CPU seconds of a 512x512x512 float32 matrix product."""
    a = jnp.ones((512, 512), jnp.float32)
    product = jax.jit(lambda x: x @ x)
    product(a).block_until_ready()
    return least_cpu_seconds(lambda: product(a).block_until_ready(), rounds=50)


def main() -> None:
    """Measure and print."""
    measured = {
        "training step, 8 slices": training_times(),
        "one sample, 1 prime frame": sampling_times(),
    }
    product = product_time()
    rows = [
        (
            what,
            f"{seconds:.3f}",
            AIM[what],
            PUBLISHED[what],
            f"{PUBLISHED[what] / seconds:.1f}x",
            f"{seconds / product:,.0f}",
            f"{compiling:.1f}",
        )
        for what, (compiling, seconds) in measured.items()
    ]
    rows.append(("512x512x512 matrix product", f"{product:.5f}", "", "", "", 1, ""))
    print_table(
        "The reference configuration on one CPU core",
        (
            "CPU seconds of",
            "svt",
            "aim",
            "lvt (elsewhere)",
            "lvt / svt",
            "in products",
            "compiling, apart",
        ),
        rows,
    )


if __name__ == "__main__":
    main()
