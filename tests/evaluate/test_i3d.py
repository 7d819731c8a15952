"""FVD's network: the published constants, and a plainly written one beside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from PIL import Image

from benchmarks.plain_i3d import plain_features
from svtcli.evaluate.fvd.i3d import (
    SELF_TEST,
    as_input,
    bilinear_weights,
    features,
    i3d,
    logits,
    self_test,
)
from svtcli.evaluate.fvd.protocol import frechet
from svtcli.evaluate.fvd.winograd import convolve
from svtcli.evaluate.weights import I3D_WEIGHTS, read_weights
from svtcli.failure import BadData
from svtcli.video.decode import decode
from tests.video.real_videos import real_video


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SVT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return read_weights(I3D_WEIGHTS).arrays


@pytest.fixture(scope="module")
def network(arrays):
    return i3d(arrays)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


SLOW_LENGTHS = [pytest.param(n, marks=pytest.mark.slow) for n in (15, 30)]


@pytest.mark.parametrize("frames", [16, *SLOW_LENGTHS])
def test_black_against_white_gives_the_published_constant(network, frames):
    assert self_test(network, frames) == pytest.approx(SELF_TEST[frames], rel=1e-4)


def test_the_features_are_those_of_a_plainly_written_network(arrays, network):
    video = noise(1, 17, 40, 64, 3)  # the last pooling has two windows in time
    plain = jax.jit(lambda video: plain_features(arrays, video))(video)
    np.testing.assert_allclose(features(network, video), plain, atol=5e-5)


@pytest.mark.slow
def test_random_videos_have_the_published_distance(network):
    """128 videos against 128 of RandomState(1) and (2): universome/fvd-comparison.

    Its compare_metrics.py gives the reference's 10.138085 for floats in 0..1, which are
    the network's input as they are.
    """
    score = jax.jit(logits)

    def side(seed: int) -> np.ndarray:
        random = np.random.RandomState(seed)
        shape = (1, 16, 224, 224, 3)
        videos = (random.rand(*shape).astype(np.float32) for _ in range(128))
        return np.concatenate([score(network, video) for video in videos])

    assert frechet(side(2), side(1)).distance == pytest.approx(10.138085, rel=1e-4)


@pytest.mark.parametrize("size", [(14, 14), (15, 18)])
def test_winograd_is_the_direct_convolution(size):
    random = np.random.default_rng(0)
    frames = random.normal(size=(2, *size, 24)).astype(np.float32)
    kernel = (random.normal(size=(3, 3, 24, 8)) / 15).astype(np.float32)
    expected = lax.conv_general_dilated(
        frames,
        kernel,
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    np.testing.assert_allclose(jax.jit(convolve)(frames, kernel), expected, atol=3e-5)


@pytest.mark.parametrize("resize", ["tf1", "half-pixel"])
def test_frames_come_in_at_224_pixels_between_minus_one_and_one(resize):
    video = noise(1, 2, 48, 64, 3)
    frames = np.asarray(as_input(jnp.asarray(video), resize))
    rows, columns = (bilinear_weights(side, 224, resize) for side in (48, 64))
    expected = np.einsum(
        "yh,nthwc,xw->ntyxc", rows, video / 127.5 - 1, columns, optimize=True
    )
    np.testing.assert_allclose(frames, expected, atol=1e-5)


def test_gray_counts_as_three_equal_colours():
    gray = jnp.asarray(noise(1, 2, 64, 64, 1))
    colored = as_input(jnp.repeat(gray, 3, axis=-1), "tf1")
    np.testing.assert_array_equal(as_input(gray, "tf1"), colored)


@pytest.mark.slow
def test_a_cartoon_of_birds_is_a_feeding_of_birds(network):
    """Made smaller as the network was trained: 256 rows, of which it sees 224."""
    frames = decode(real_video("bigbuckbunny.mp4"), size=None, frames=16)
    small = [
        Image.fromarray(frame).resize((455, 256), Image.Resampling.BILINEAR)
        for frame in frames
    ]
    video = np.stack([np.asarray(frame)[16:240, 115:339] for frame in small])
    video = video / 127.5 - 1
    scores = np.asarray(logits(network, jnp.asarray(video[None], jnp.float32)))[0]
    likelihood = np.exp(scores - scores.max())
    assert scores.argmax() == 123
    assert likelihood[123] / likelihood.sum() == pytest.approx(0.989, abs=1e-3)


def test_too_few_frames_are_refused(network):
    with pytest.raises(ValueError, match="9 frames or more, not 8"):
        features(network, noise(1, 8, 64, 64, 3))


@pytest.mark.parametrize("wrong", ["missing", "another shape"])
def test_weights_of_another_network_are_refused(arrays, wrong):
    name = "params/Mixed_4c/Branch_1/Conv3d_0b_3x3/Conv_0/kernel"
    others = {key: value for key, value in arrays.items() if key != name}
    if wrong == "another shape":
        others[name] = arrays[name][..., :5]
    with pytest.raises(BadData, match=f"not I3D's weights: {name}"):
        i3d(others)


@pytest.mark.parametrize("resize", ["tf1", "half-pixel"])
@pytest.mark.parametrize("old", [1, 48, 64, 224, 340])
def test_every_pixel_is_an_average_of_old_ones(old, resize):
    weights = bilinear_weights(old, 224, resize)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=0, atol=1e-12)


def test_tensorflow_takes_the_first_pixels_and_repeats_the_last():
    weights = bilinear_weights(2, 4, "tf1")
    np.testing.assert_array_equal(weights, [[1, 0], [0.5, 0.5], [0, 1], [0, 1]])


def test_half_pixel_is_symmetric_and_what_pytorch_does():
    weights = bilinear_weights(2, 4, "half-pixel")
    expected = [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize("resize", ["tf1", "half-pixel"])
def test_frames_of_224_stay_as_they_are(resize):
    np.testing.assert_array_equal(bilinear_weights(224, 224, resize), np.eye(224))
