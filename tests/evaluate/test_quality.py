"""PSNR and SSIM against scikit-image, and what the best and the mean of K are."""

from math import inf, log10, sqrt

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from svtcli.evaluate.metrics import PAIRED
from svtcli.evaluate.quality import PSNR_CAP, psnr, ssim
from svtcli.failure import Refused


def video_pair(*shape: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth video, and the same with noise that grows by frame."""
    generator = np.random.default_rng(seed)
    H, W = shape[-3:-1]
    wave = np.sin(np.arange(H)[:, None, None] / 5) + np.cos(np.arange(W)[:, None] / 3)
    video = 120 + 40 * wave + generator.normal(0, 5, shape)
    strength = 1 + 10 * np.arange(shape[-4])[:, None, None, None]
    other = video + strength * generator.normal(0, 1, shape)
    return tuple(some.clip(0, 255).astype(np.uint8) for some in (video, other))


def reference_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al.'s, over the places where the window lies inside."""
    return structural_similarity(
        a / 255, b / 255, channel_axis=-1, data_range=1,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip


def values(N: int, K: int, F: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (N, K, F))


# --- frames ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64, 3), (11, 11, 3), (13, 30, 1), (40, 17, 3)])
def test_ssim_is_that_of_scikit_image(size):
    video, truth = video_pair(2, 4, *size)  # more frames than are taken at a time
    mine = ssim(video, truth)
    assert mine.shape == (2, 4)
    for place in np.ndindex(2, 4):
        assert mine[place] == pytest.approx(
            reference_ssim(video[place], truth[place]), abs=1e-9
        )


def test_gray_ssim_is_that_of_the_luma():
    video, truth = video_pair(3, 20, 20, 3)
    luma = np.array([0.299, 0.587, 0.114])
    mine = ssim(video, truth, gray=True)
    for frame in range(3):
        a, b = ((some[frame] @ luma)[..., None] for some in (video, truth))
        assert mine[frame] == pytest.approx(reference_ssim(a, b), abs=1e-9)
    assert not np.allclose(mine, ssim(video, truth))
    assert np.array_equal(  # gray video is its own luma
        ssim(video[..., :1], truth[..., :1], gray=True),
        ssim(video[..., :1], truth[..., :1]),
    )


def test_psnr_is_that_of_scikit_image():
    video, truth = video_pair(2, 3, 9, 7, 3)
    mine = psnr(video, truth)
    assert mine.shape == (2, 3)
    for place in np.ndindex(2, 3):
        a, b = truth[place] / 255, video[place] / 255
        expected = peak_signal_noise_ratio(a, b, data_range=1)
        assert mine[place] == pytest.approx(expected, rel=1e-12)


def test_black_against_white_is_zero_decibel():
    black = np.zeros((1, 4, 4, 3), np.uint8)
    assert psnr(black, 255 - black) == pytest.approx(0)


def test_identical_frames_have_the_best_values():
    video, _ = video_pair(4, 16, 16, 3)
    assert (psnr(video, video) == PSNR_CAP).all()
    assert np.allclose(ssim(video, video), 1, atol=1e-12)
    flat = np.full((1, 16, 16, 3), 7, np.uint8)
    assert ssim(flat, flat) == pytest.approx(1, abs=1e-12)


def test_no_frame_has_more_than_the_cap():
    """One level off in one of 199,692 values would be 101.1 dB."""
    video = np.zeros((1, 258, 258, 3), np.uint8)
    truth = video.copy()
    truth[0, 0, 0, 0] = 1
    assert 20 * log10(255) + 10 * log10(truth.size) > PSNR_CAP
    assert psnr(video, truth) == PSNR_CAP


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_video_and_truth_may_change_places(measure):
    video, truth = video_pair(5, 16, 16, 3)
    assert np.array_equal(measure(video, truth), measure(truth, video))


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_more_noise_is_worse(measure):
    video, truth = video_pair(5, 24, 24, 3)
    assert (np.diff(measure(video, truth)) < 0).all()


def test_frames_smaller_than_the_window_are_refused():
    video = np.zeros((1, 10, 40, 3), np.uint8)
    with pytest.raises(Refused, match="11x11 pixels and frames are only 10x40"):
        ssim(video, video)


# --- videos ------------------------------------------------------------------------


def test_a_summary_worked_by_hand():
    """Two videos, two continuations, three frames of which one is given."""
    of_frames = np.array([[[99.0, 10, 20], [99, 30, 40]], [[99, 50, 10], [99, 0, 10]]])
    high = PAIRED["psnr"].summarize(of_frames, prime=1)
    assert high.mean_of_k == pytest.approx((15 + 35 + 30 + 5) / 4)
    assert high.best_of_k == pytest.approx((35 + 30) / 2)
    assert high.mean_error == pytest.approx(np.std([25, 17.5], ddof=1) / sqrt(2))
    assert high.best_error == pytest.approx(np.std([35, 30], ddof=1) / sqrt(2))
    assert high.mean_per_frame == pytest.approx((22.5, 20))
    assert high.best_per_frame == pytest.approx((40, 25))
    assert high.k == 2
    low = PAIRED["lpips"].summarize(of_frames, prime=1)
    assert low.best_of_k == pytest.approx((15 + 5) / 2)
    assert low.mean_of_k == high.mean_of_k


def test_the_psnr_of_a_video_is_the_mean_over_its_frames():
    """Not that of its mean squared error, which the worst frame would rule."""
    video, truth = video_pair(2, 8, 8, 3)
    of_frames = psnr(video, truth)
    error = np.mean((video / 255 - truth / 255) ** 2)
    summary = PAIRED["psnr"].summarize(of_frames[None, None], prime=0)
    assert summary.mean_of_k == pytest.approx(of_frames.mean())
    assert summary.mean_of_k > -10 * log10(error) + 1


def test_frames_at_the_cap_are_counted_after_the_prime_ones():
    of_frames = np.full((2, 2, 3), 30.0)
    of_frames[:, :, 0] = PSNR_CAP  # what is given is the same, and doesn't count
    assert PAIRED["psnr"].summarize(of_frames, prime=1).capped == 0
    of_frames[1, 0, 2] = PSNR_CAP
    assert PAIRED["psnr"].summarize(of_frames, prime=1).capped == 1
    assert PAIRED["ssim"].summarize(of_frames, prime=1).capped == 0


@pytest.mark.parametrize("metric", PAIRED)
def test_the_best_of_k_is_no_worse_than_the_mean(metric):
    summary = PAIRED[metric].summarize(values(5, 4, 6), prime=2)
    sign = 1 if PAIRED[metric].higher_is_better else -1
    assert sign * summary.best_of_k > sign * summary.mean_of_k
    assert np.mean(summary.best_per_frame) == pytest.approx(summary.best_of_k)
    assert np.mean(summary.mean_per_frame) == pytest.approx(summary.mean_of_k)


@pytest.mark.parametrize("metric", PAIRED)
def test_with_one_continuation_best_and_mean_are_one(metric):
    summary = PAIRED[metric].summarize(values(5, 1, 6), prime=2)
    assert summary.best_of_k == pytest.approx(summary.mean_of_k, rel=1e-12)
    assert summary.best_error == pytest.approx(summary.mean_error, rel=1e-12)
    assert summary.best_per_frame == pytest.approx(summary.mean_per_frame, rel=1e-12)


@pytest.mark.parametrize("metric", PAIRED)
def test_the_order_of_videos_and_continuations_does_not_matter(metric):
    of_frames = values(5, 4, 6)
    for other in (of_frames[::-1], of_frames[:, ::-1]):
        a, b = (
            PAIRED[metric].summarize(of_frames, 1),
            PAIRED[metric].summarize(other, 1),
        )
        assert a.best_of_k == pytest.approx(b.best_of_k, rel=1e-12)
        assert a.mean_of_k == pytest.approx(b.mean_of_k, rel=1e-12)
        assert a.best_error == pytest.approx(b.best_error, rel=1e-9)
        assert a.best_per_frame == pytest.approx(b.best_per_frame, rel=1e-12)


def test_a_single_video_has_no_error():
    summary = PAIRED["ssim"].summarize(values(1, 3, 4), prime=1)
    assert summary.mean_error is None
    assert summary.best_error is None


def test_prime_frames_do_not_count():
    given = values(3, 2, 4)
    of_frames = given.copy()
    of_frames[:, :, :2] = -inf
    assert PAIRED["ssim"].summarize(of_frames, 2) == PAIRED["ssim"].summarize(given, 2)


def test_nothing_to_compare_is_refused():
    with pytest.raises(Refused, match="4 frames with 4 prime frames leave none"):
        PAIRED["psnr"].summarize(values(2, 2, 4), prime=4)
    with pytest.raises(ValueError, match="0 videos with 2 continuations cannot be"):
        PAIRED["ssim"].summarize(values(0, 2, 4), prime=1)
