"""Sampling takes the memory of one slice, whatever the length of the video."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.sample.sampler import Sampler
from svtcli.sample.sampling_rule import SamplingRule
from svtcli.sample.slice_state import SliceInputs, sample_slice
from tests.sample.enumerated import (
    CONFIGS,
    SCHEDULES,
    keys_of_draws,
    one_frame,
    sharp_network,
)

CONFIG = CONFIGS["subscaled"]


def memory(schedule: str, rows: int) -> Any:
    """Memory of the program of a slice for `rows` videos."""
    graphdef, params = sharp_network(CONFIG)
    codes = jax.ShapeDtypeStruct((rows, *CONFIG.video, CONFIG.codes), jnp.uint8)
    inputs = SliceInputs(
        *(jnp.array(1), jnp.array(1), jnp.array(0)),
        keys_of_draws(rows),
        SamplingRule.of(1.0),
    )
    return (
        sample_slice.lower(
            graphdef, params, CONFIG, codes, inputs, schedule=SCHEDULES[schedule]
        )
        .compile()
        .memory_analysis()
    )


def whole(stats: Any) -> int:
    """Bytes of a program that runs: donated ones are counted once."""
    return (
        stats.temp_size_in_bytes
        + stats.argument_size_in_bytes
        + stats.output_size_in_bytes
        - stats.alias_size_in_bytes
    )


def test_the_codes_of_the_windows_are_donated():
    """Donated: what goes in is what comes out, not a second copy."""
    stats = memory("sequential", 16)
    codes = 16 * np.prod(CONFIG.video) * CONFIG.codes
    assert stats.alias_size_in_bytes == codes
    assert stats.output_size_in_bytes >= codes


def test_more_frames_and_slices_take_the_same_program():
    """So its memory is all there is, and does not grow with them."""
    sampler = Sampler(CONFIG, *sharp_network(CONFIG))
    short = one_frame(CONFIG, 16)
    long = np.concatenate([short] * 4, axis=1)
    programs, slices = [], []
    for video in (short, long):
        sampler.continue_video(
            video, 1, 1, keys_of_draws(16), SamplingRule.of(1.0),
            on_slice=lambda *_: slices.append(None),
        )  # fmt: skip
        programs.append(sample_slice._cache_size())
    assert len(slices) == 1 + 7
    assert programs[0] == programs[1]


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_memory_grows_with_the_batch_and_no_faster(schedule):
    few, some, many = (whole(memory(schedule, rows)) for rows in (16, 32, 64))
    assert some - few > 0
    assert many - some == pytest.approx(2 * (some - few), rel=0.02)
