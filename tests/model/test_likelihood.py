"""Scores in the paper's units, by windows and slices."""

from dataclasses import replace
from math import log

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.model.likelihood import Scorer, score, uniform_score
from svtcli.model.svt import structure
from svtcli.recipe.model import Model
from tests.tiny import SMALL, VARIANTS, network_of, random_video, zero_params

RGB = Model(video=(4, 4, 4), s=(2, 2, 2), blocks=((2, 2, 2),), **SMALL)
GRAY = Model(
    video=(4, 4, 4), s=(4, 1, 1), k=(6, 1, 1), blocks=((1, 4, 4),), channels=1,
    loss="deterministic", **SMALL,
)  # fmt: skip


def all_zero(config: Model) -> Scorer:
    """A model that says nothing: every parameter is 0."""
    return Scorer(config, structure(config)[0], zero_params(config))


def test_the_uniform_model_scores_eight_bits_per_dimension():
    video = np.asarray(random_video(RGB, 3))
    for prime in (1, 2):
        nats = all_zero(RGB).frame_nll(video, prime, overlap=1)
        scored = score(nats, prime, RGB)
        assert scored.mean == pytest.approx(8, abs=1e-6)
        assert scored.error == pytest.approx(0, abs=1e-6)
        assert scored.per_frame == pytest.approx([8] * (4 - prime), abs=1e-6)


@pytest.mark.parametrize("config", [RGB, replace(RGB, code_bits=2), GRAY])
def test_the_uniform_score_is_that_of_a_network_without_an_opinion(config):
    nats = all_zero(config).frame_nll(np.asarray(random_video(config, 3)), 1, overlap=1)
    found, known = score(nats, 1, config), uniform_score(4, 1, config)
    assert found.mean == pytest.approx(known.mean, rel=1e-6)
    assert found.error == pytest.approx(known.error, abs=1e-6)
    assert found.per_frame == pytest.approx(known.per_frame, rel=1e-6)
    of_pixels = 16 * log(2) if config is GRAY else 8
    assert known.mean == pytest.approx(of_pixels, rel=1e-15)


def test_a_model_that_is_always_right_scores_zero():
    """Every state is turned into a sure vote for value 0, and the video is black."""
    scorer = all_zero(RGB)
    head = scorer.params["decoder"]["head"]
    head["norm"]["bias"] = jnp.ones_like(head["norm"]["bias"])
    head["from_state"] = jnp.ones_like(head["from_state"])
    head["to_logits"] = head["to_logits"].at[:, :, 0].set(10.0)
    black = np.zeros((2, 4, 4, 4, 3), np.uint8)
    assert score(scorer.frame_nll(black, 1, overlap=1), 1, RGB).mean == 0


def test_intensity_one_half_scores_ln_two_per_pixel():
    video = np.asarray(random_video(GRAY, 2))
    scored = score(all_zero(GRAY).frame_nll(video, 1, overlap=1), 1, GRAY)
    assert scored.mean == pytest.approx(4 * 4 * log(2), rel=1e-6)


def test_a_long_video_is_scored_by_the_windows_that_would_sample_it():
    config = VARIANTS["spatiotemporal"]
    scorer = Scorer(config, *network_of(config))
    video = np.random.default_rng(0).integers(0, 16, (2, 7, 4, 4, 1), dtype=np.uint8)
    whole = scorer.frame_nll(video, prime=1, overlap=1)
    first = scorer.frame_nll(video[:, :4], prime=1, overlap=1)
    second = scorer.frame_nll(video[:, 3:], prime=1, overlap=1)
    assert np.allclose(whole[:, :4], first)
    assert np.allclose(whole[:, 4:], second[:, 1:])
    assert (whole[:, 0] == 0).all()


def test_the_standard_error_is_over_videos():
    nats = np.array([[0.0, 3.0, 5.0], [0.0, 1.0, 3.0]])
    scored = score(nats, 1, GRAY)
    per_video = [4.0 / 16 * 16, 2.0 / 16 * 16]
    assert scored.mean == pytest.approx(np.mean(per_video))
    assert scored.error == pytest.approx(np.std(per_video, ddof=1) / 2**0.5)
    assert scored.per_frame == pytest.approx([2.0, 4.0])
    assert score(nats[:1], 1, GRAY).error is None
