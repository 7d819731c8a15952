"""`svt.fvd`, `psnr`, `ssim` and `lpips`: the numbers of `svt eval`, of arrays."""

import json
import warnings

import numpy as np
import pytest

import svtcli as svt
from svtcli.evaluate import lpips, measure
from svtcli.evaluate.fvd.features import Network
from svtcli.evaluate.fvd.i3d import I3D
from tests.cli.terminal import svt_here

SHAPE = (3, 2, 9, 32, 32, 3)
"""Samples: three clips, two continuations of each."""


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    """Samples and the clips that they continue, also as files."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    samples = draw.integers(0, 256, SHAPE, np.uint8)
    truth = draw.integers(0, 256, (3, *SHAPE[2:]), np.uint8)
    np.save("samples.npy", samples)
    np.save("truth.npy", truth)
    return samples, truth


def told(capfd, *flags):
    """Result that `svt eval` prints for the files."""
    line = ("eval", "samples.npy", "--reference", "truth.npy", "--prime", "0", *flags)
    said = svt_here(capfd, "--json", *line)
    assert said.code == 0, said.err
    return json.loads(said.out)["comparisons"][0]


@pytest.mark.parametrize(
    ("metric", "keys", "flags"),
    [
        ("psnr", {}, []),
        ("ssim", {"gray": True}, ["--gray"]),
    ],
)
def test_metrics_of_frames_are_those_of_the_command(arrays, capfd, metric, keys, flags):
    wanted = told(capfd, "--metric", metric, *flags)["quality"][metric]
    values = getattr(svt, metric)(*arrays, **keys)
    assert values.shape == SHAPE[:3]
    assert values.mean(axis=2).mean(axis=1).mean() == wanted["mean_of_k"]
    assert values.mean(axis=(0, 1)).tolist() == wanted["mean_per_frame"]
    if metric == "psnr":
        samples, truth = arrays
        assert (svt.psnr(samples[:, 1], truth) == values[:, 1]).all()


def test_lpips_takes_its_network(arrays, monkeypatch):
    monkeypatch.setattr(lpips, "read_lpips", {"alexnet": 1, "vgg16": 2}.get)
    monkeypatch.setattr(lpips, "lpips", lambda net, a, b: np.full(a.shape[:2], net))
    assert (svt.lpips(*arrays) == 1).all()
    assert (svt.lpips(*arrays, net="vgg16") == 2).all()
    with pytest.raises(svt.Refused, match=r"eval\.lpips: should be alexnet or vgg16"):
        svt.api.metrics._settings("lpips", lpips="resnet")


def test_fvd_is_that_of_the_command(arrays, capfd, cheap_features, monkeypatch):
    network = Network(
        params=I3D(None, None, None, {}, None), weights="", constant=152.9
    )
    monkeypatch.setattr(measure, "load_network", lambda given, progress: network)
    wanted = told(capfd, "--metric=fvd", "--window=9", "--resize=half-pixel")["fvd"]
    samples, truth = arrays
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = svt.fvd(samples, truth, window=9, resize="half-pixel")
    assert found == wanted["distances"]["fvd"]["mean"]
    said = [str(each.message) for each in warned]
    assert any("compare it only with FVD of as many" in line for line in said)


def test_arrays_that_do_not_fit_are_refused_in_one_line(arrays):
    samples, truth = arrays
    calls = {
        "samples: its numbers are float64": (svt.psnr, samples / 255, truth),
        "reference: its axes .* one video": (svt.psnr, samples[:, 0], truth[0]),
        "there are 3 and 2": (svt.psnr, samples, truth[:2]),
        "9 frames, and the reference has 8": (svt.ssim, samples, truth[:, :8]),
        r"frames of samples are \[32, 32, 3\]": (svt.ssim, samples, truth[..., :1]),
        "lpips needs 31x31 pixels": (svt.lpips, samples[..., 2:, :], truth[..., 2:, :]),
        "9 frames, and FVD's window has 16": (svt.fvd, samples, truth),
    }
    for sentence, (function, *given) in calls.items():
        with pytest.raises(svt.Refused, match=sentence) as error:
            function(*given)
        assert "\n" not in str(error.value)
    with pytest.raises(svt.Refused, match=r"eval\.window: should be greater than"):
        svt.fvd(samples, truth, window=3)
    with pytest.raises(svt.Refused, match="no such file"):
        svt.fvd(samples, truth, window=9, i3d="nowhere.npz")
