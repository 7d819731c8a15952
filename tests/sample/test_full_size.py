"""At the paper's size: what is sampled is what the model says, to 1e-3 of a logit.

The paper's base model and its whole slice of 4 × 32 × 32, with random parameters; some
ten minutes. Measured: logits with a spread of 2.8 differ by 8e-6 (parallel, the whole
slice in 1,373 passes) and 1e-5 (sequential, a quarter of it).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.likelihood import slice_nll
from svtcli.model.subscale import codes_from_video, video_from_codes
from svtcli.model.svt import network
from svtcli.sample import jacobi, schedules
from svtcli.sample.sampling_rule import SamplingRule, row_keys, slice_noise
from svtcli.sample.slice_state import SliceInputs, sample_pixels, sample_slice
from tests.paper_models import PAPER
from tests.tiny import network_of, random_video

CONFIG = PAPER["spatiotemporal"]
INDEX = 9  # of 16 slices: it holds the frames 2, 6, 10 and 14
KEYS = row_keys(0, np.zeros(1, int), np.zeros(1, int))
SCHEDULES = {
    "parallel": (schedules, schedules.Parallel(), 1),
    "sequential": (schedules, schedules.Sequential(), 11),
    "guess": (jacobi, jacobi.Jacobi(16), 11),
}
"""Each with how many frames are given: from 11 on, a quarter of the slice is made."""


class Overheard:
    """The logits from which a schedule has made its pixels, by their position."""

    def __init__(self) -> None:
        noise = slice_noise(KEYS, CONFIG, jnp.array(INDEX), jnp.array(0))
        self.positions = {
            float(row[0, 0]): position for position, row in enumerate(noise[0])
        }
        assert len(self.positions) == len(noise[0])
        shape = (len(noise[0]), CONFIG.codes, CONFIG.values)
        self.logits = np.full(shape, np.nan, np.float32)

    def sample_pixels(self, decoder, cache, y, noise, choice):
        """Record the logits of `sample_pixels`; the last ones of a position count."""
        pixels, logits = sample_pixels(decoder, cache, y, noise, choice)
        jax.debug.callback(self.hear, noise[:, 0, 0], logits, ordered=True)
        return pixels, logits

    def hear(self, noise: np.ndarray, logits: np.ndarray) -> None:
        """The logits of pixels that have this noise."""
        for first, row in zip(np.asarray(noise), np.asarray(logits), strict=True):
            self.logits[self.positions[float(first)]] = row


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_logits_of_the_sampled_path_are_the_teacher_forced_ones(name, monkeypatch):
    module, schedule, given = SCHEDULES[name]
    graphdef, params = network_of(CONFIG)
    params["decoder"]["head"]["to_logits"] *= 10  # else all values are as likely
    codes = codes_from_video(random_video(CONFIG, 1), CONFIG)
    overheard = Overheard()
    monkeypatch.setattr(module, "sample_pixels", overheard.sample_pixels)
    numbers = (jnp.array(INDEX), jnp.array(given), jnp.array(0))
    made = sample_slice(
        graphdef,
        params,
        CONFIG,
        codes,
        SliceInputs(*numbers, KEYS, SamplingRule.of(0.9)),
        schedule=schedule,
    )
    jax.effects_barrier()
    forced = jax.jit(partial(both, graphdef))(params, made.codes)
    logits, nats = jax.tree.map(np.asarray, forced)
    (made_frames,) = np.nonzero(np.array([2, 6, 10, 14]) >= given)
    heard = overheard.logits.reshape(logits.shape)
    assert np.isnan(heard[:, : made_frames[0]]).all()
    off = np.abs(heard - logits)[:, made_frames]
    apart = np.abs(np.asarray(made.nll) - nats.sum((2, 3)))[:, made_frames]
    print(
        f"{name}: {int(made.passes[0])} passes for {off[..., 0, 0].size} pixels; "
        f"logits (spread {logits.std():.2f}) differ by up to {off.max():.1e}; "
        f"nats of a frame by {apart.max():.1e} of {nats.sum((2, 3)).mean():.0f}"
    )
    assert off.max() < 1e-3
    assert (apart < 1e-3 * 32 * 32).all()


def both(graphdef, params, codes):
    """Teacher-forced logits of the slice, and nats of its pixels."""
    model, index = network(graphdef, params), jnp.array([INDEX])
    return (
        model(codes, index),
        slice_nll(model, video_from_codes(codes, CONFIG), index),
    )
