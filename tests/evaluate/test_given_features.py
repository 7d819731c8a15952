"""Features of other networks: numbers beside other libraries, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel

from svtcli.evaluate.fvd.protocol import jedi, kernel_distance
from svtcli.evaluate.given_features import measure_features, read_features
from svtcli.evaluate.manifold import coverage
from svtcli.failure import BadData, Refused
from svtcli.run.durable import read_record
from tests.cli.terminal import svt_here


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Features of 30 samples and of 25 clips, which the test's folder holds."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.save("fake.npy", (random.normal(size=(30, 7)) + 0.5).astype(np.float32))
    np.save("real.npy", np.asfortranarray(random.normal(size=(25, 7)) * 2))
    return Path("fake.npy"), Path("real.npy")


def test_numbers_are_those_of_scipy_and_scikit_learn(files):
    sides = [read_features(file) for file in files]
    found = measure_features(*sides, ("fvd", "kvd", "jedi", "coverage")).values
    fake, real = (np.load(file).astype(np.float64) for file in files)
    covariances = [np.cov(each, rowvar=False) for each in (real, fake)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    means = np.square(real.mean(axis=0) - fake.mean(axis=0)).sum()
    frechet = means + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert found["fvd"] == pytest.approx(frechet, rel=1e-9)

    def kernel(x, y):
        return polynomial_kernel(x, y, degree=2, gamma=None, coef0=0).mean()

    mmd = kernel(real, real) + kernel(fake, fake) - 2 * kernel(real, fake)
    assert found["jedi"] == pytest.approx(100 * mmd, rel=1e-9)
    assert found["kvd"] == pytest.approx(kernel_distance(real, fake))
    assert found["coverage"] == coverage(real, fake)


def test_jedi_of_the_example_in_its_own_code():
    a = np.arange(1.0, 10).reshape(3, 3)
    b = np.array([[7.0, 6, 5], [4, 3, 2], [1, 1, 8], [0, 2, 5]])
    assert jedi(a, b) / 100 == pytest.approx(270.7, abs=0.05)
    assert jedi(a, a) == 0


def test_jedi_is_the_distance_of_second_moments(files):
    fake, real = (np.load(file).astype(np.float64) for file in files)
    moments = [each.T @ each / len(each) for each in (real, fake)]
    expected = 100 * np.square(moments[0] - moments[1]).sum() / 7**2
    assert jedi(real, fake) == pytest.approx(expected, rel=1e-9)


def test_the_command_prints_and_writes_what_it_computes(files, capfd):
    line = ("eval", "--features", "fake.npy", "--reference-features", "real.npy")
    said = svt_here(capfd, *line, "--metric", "fvd,jedi", "--out", "out.json")
    assert said.code == 0
    assert "Fréchet distance" in said.out
    assert "note: unequal numbers of clips: 25 real, 30 sampled" in said.err
    (found,) = json.loads(svt_here(capfd, "--json", *line, "--metric", "fvd,jedi").out)[
        "features"
    ]
    assert read_record(Path("out.json"), "") == found
    assert found["samples"]["clips"] == 30
    assert found["means"] + found["covariances"] == pytest.approx(
        found["values"]["fvd"]
    )
    again = svt_here(capfd, *line, "--out", "out.json")
    assert (again.code, "already exists" in again.err) == (2, True)
    for more, message in (
        (("--metric", "psnr"), "psnr: not a metric of features alone"),
        (("--metric", "fvd-avg"), "fvd-avg: not a metric of features alone"),
        (("--window", "9"), "--window: features are compared, not videos"),
        (("video.npy",), "video.npy: --features take the place of samples"),
    ):
        refused = svt_here(capfd, *line, *more)
        assert (refused.code, message in refused.err) == (2, True), refused.err
    assert "name both" in svt_here(capfd, *line[:3]).err
    assert "nothing to score" in svt_here(capfd, "eval").err
    np.save("video.npy", np.zeros((6, 9, 12, 12, 3), np.uint8))
    line = ("eval", "video.npy", "--reference", "video.npy", "--metric", "jedi")
    assert "its network is not part of svt" in svt_here(capfd, *line).err


@pytest.mark.parametrize(
    ("array", "kind", "said"),
    [
        (np.zeros((4, 3), np.uint8), Refused, "uint8 of shape [4, 3], not features"),
        (np.zeros((4, 3, 2)), Refused, "not features of clips"),
        (np.zeros((0, 3)), Refused, "not features of clips"),
        (np.full((4, 3), np.nan), BadData, "4 of 4 clips are not finite, first 0"),
        (np.array([[None]]), Refused, "which is a pickle"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, kind, said):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(kind) as refused:
        read_features(tmp_path / "a.npy")
    assert said in refused.value.sentence


def test_damaged_files_and_sets_that_do_not_fit_are_refused(files, tmp_path):
    fake, real = (read_features(file) for file in files)
    whole = files[0].read_bytes()
    for contents in (whole[:-5], whole[:20], b"", b"text"):
        (tmp_path / "cut.npy").write_bytes(contents)
        with pytest.raises(BadData):
            read_features(tmp_path / "cut.npy")
    with pytest.raises(Refused, match="No such file"):
        read_features(tmp_path / "absent.npy")
    np.save("other.npy", np.zeros((30, 6)))
    with pytest.raises(Refused, match=r"has 6 features of a clip, real\.npy has 7"):
        measure_features(read_features(Path("other.npy")), real, ("fvd",))
    np.save("few.npy", np.zeros((5, 7)))
    with pytest.raises(Refused, match="5 clips, and density needs 6"):
        measure_features(fake, read_features(Path("few.npy")), ("density",))
