"""Cached sampling against running the decoder again for every pixel, same model.

Both sample the same pixels of one slice with the same noise; the output is CPU seconds
per pixel and their ratio. The uncached form is run for some positions only.

    python benchmarks/sampling_cached.py > benchmarks/results/sampling_cached.md
"""

from functools import partial

from measure import least_cpu_seconds, print_table, use_one_core

use_one_core()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from reference import REFERENCE  # noqa: E402

from svtcli.model.subscale import codes_from_video, take_slice  # noqa: E402
from svtcli.model.svt import create, network  # noqa: E402
from svtcli.recipe.model import Model  # noqa: E402
from svtcli.sample.sampling_rule import SamplingRule, choose, row_keys, slice_noise  # noqa: E402
from svtcli.sample.schedules import Sequential  # noqa: E402
from svtcli.sample.slice_state import SliceInputs, sample_slice  # noqa: E402

NARROW_PAPER = Model(de=64, d=128, na=4, da=32)
INDEX, RULE = 5, SamplingRule.of(0.9)


@partial(jax.jit, static_argnames=("graphdef", "config", "positions"))
def resample(graphdef, params, config, codes, keys, positions):
    """The first `positions` pixels of a slice, each by a whole pass of the decoder."""
    model = network(graphdef, params)
    decoder, rows = model.decoder, jnp.full(len(codes), INDEX)
    placed = decoder.position_and_context(model.encoder(codes, rows))
    noise = slice_noise(keys, config, jnp.array(INDEX), jnp.array(0))
    made = jnp.zeros_like(take_slice(codes, rows, config.s))
    shape = made.shape

    def one_position(position, made):
        y, _ = decoder.states(made, placed)
        y = y.reshape(len(codes), -1, config.d)[:, position]
        pixel, _ = decoder.head.sample(
            y,
            lambda k, logits: choose(logits, noise[:, position, k], RULE),
            decoder.head.loop_weights(),
        )
        flat = made.reshape(len(codes), -1, config.codes)
        return flat.at[:, position].set(pixel.astype(made.dtype)).reshape(shape)

    return jax.lax.fori_loop(0, positions, one_position, made)


def compare(name: str, config: Model, positions: int) -> tuple[object, ...]:
    """CPU seconds per pixel both ways, after checking that the pixels are equal."""
    graphdef, params = create(config, jax.random.key(0))
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (1, *config.video, 3), dtype=np.uint8)
    codes = codes_from_video(jnp.asarray(video), config)
    keys = row_keys(0, np.zeros(1, int), np.zeros(1, int))
    pixels = int(np.prod(config.slice_shape))

    def cached():
        return jax.block_until_ready(
            sample_slice(
                graphdef, params, config, codes + 0,
                SliceInputs(jnp.array(INDEX), jnp.array(0), jnp.array(0), keys, RULE),
                schedule=Sequential(),
            )
        )  # fmt: skip

    def uncached():
        return jax.block_until_ready(
            resample(graphdef, params, config, codes, keys, positions)
        )

    whole = take_slice(cached()[0], jnp.array([INDEX]), config.s)
    first = uncached()
    same = np.asarray(whole == first).reshape(pixels, -1)[:positions].all()
    if not same:
        raise SystemExit(f"{name}: the two ways do not make the same pixels")
    fast = least_cpu_seconds(cached, rounds=3) / pixels
    slow = least_cpu_seconds(uncached, rounds=3) / positions
    return (
        name,
        f"{fast * 1e3:.3f}",
        f"{slow * 1e3:.2f}",
        f"**{slow / fast:.0f}x**",
        f"{positions} of {pixels}",
    )


def main() -> None:
    """Measure and print."""
    rows = [
        compare("reference: slices 2x8x8, d 128, 4 layers", REFERENCE, 128),
        compare("the paper's slices 4x32x32, d 128, 8 layers", NARROW_PAPER, 24),
    ]
    print_table(
        "Cached sampling against running the decoder again for every pixel",
        ("model", "cached, CPU ms/pixel", "again, CPU ms/pixel", "ratio", "pixels run"),
        rows,
    )


if __name__ == "__main__":
    main()
