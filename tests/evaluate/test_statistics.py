"""Statistics of clips in place of the clips, and what is not taken for them."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from svtcli.evaluate.foreign import open_videos
from svtcli.evaluate.fvd.protocol import Moments, frechet
from svtcli.evaluate.fvd.statistics import is_statistics, read_statistics
from svtcli.evaluate.measure import measure, save_statistics
from svtcli.evaluate.plan import plan_metrics
from svtcli.failure import BadData, Failure, Refused
from svtcli.recipe.schema import Compare
from svtcli.run.progress import Silent

pytestmark = pytest.mark.usefixtures("cheap_features")
BOTH = Compare(metrics=("fvd", "fvd-avg"), window=9, trials=2)


def videos(place, name, *shape, seed=0):
    path = place / f"{name}.npy"
    bright = np.random.default_rng(seed).integers(0, 200, (shape[0], *[1] * 4))
    noise = np.random.default_rng(seed + 1).integers(0, 55, shape)
    np.save(path, (bright.reshape(-1, *[1] * (len(shape) - 1)) + noise).astype("u1"))
    return open_videos(str(path))


@pytest.fixture
def sides(tmp_path):
    return (
        videos(tmp_path, "samples", 5, 2, 11, 12, 12, 3),
        videos(tmp_path, "clips", 6, 11, 12, 12, 3, seed=7),
    )


@pytest.fixture
def saved(sides, tmp_path):
    path = tmp_path / "clips.npz"
    save_statistics(plan_metrics(sides[1], sides[1], BOTH), path, Silent())
    return path


def known(path):
    return read_statistics(path, str(path))


@pytest.mark.parametrize("clips", [3, 300, 401, 900])
def test_moments_give_the_distance_of_the_features_to_the_last_bit(clips):
    """And mean and covariance are NumPy's, in float64."""
    real, fake = np.random.default_rng(0).normal(size=(2, 900, 400)).astype("f4")
    moments = Moments.of(real[:clips])
    content = io.BytesIO()
    np.savez(content, root=moments.root[None], mean=moments.mean[None])
    content.seek(0)
    kept = np.load(content)
    again = Moments(kept["mean"][0], kept["root"][0])
    assert again.root.shape == (min(clips, 400), 400)
    assert frechet(again, fake[:30]) == frechet(real[:clips], fake[:30])
    wide = real[:clips].astype(np.float64)
    assert np.array_equal(again.mean, wide.mean(axis=0))
    covariance = np.cov(wide, rowvar=False)
    assert np.allclose(again.root.T @ again.root, covariance, rtol=0, atol=1e-12)


def test_fvd_is_the_same_without_the_clips(sides, saved, tmp_path):
    samples, clips = sides
    (tmp_path / "clips.npy").rename(tmp_path / "elsewhere.npy")
    found = measure(plan_metrics(samples, known(saved), BOTH), Silent())
    clips = open_videos(str(tmp_path / "elsewhere.npy"))
    of_clips = measure(plan_metrics(samples, clips, BOTH), Silent())
    assert replace(found.fvd.distances, kvd=of_clips.fvd.distances.kvd) == (
        of_clips.fvd.distances
    )
    assert found.fvd.distances.kvd is None
    assert found.fvd.unpaired_floor is None
    assert found.fvd.between_trials == of_clips.fvd.between_trials
    assert found.reference.pixels == of_clips.reference.pixels
    assert found.reference.clips == 6
    assert "unequal numbers of clips: 6 real, 5 sampled" in found.warnings
    first = measure(
        plan_metrics(samples, known(saved), replace(BOTH, metrics=("fvd",))), Silent()
    )
    assert first.fvd.distances.fvd == of_clips.fvd.distances.fvd


@pytest.mark.parametrize(
    ("settings", "frames", "said"),
    [
        ({"window": 10}, 11, "FVD's window 9 in these statistics, and 10 here"),
        ({"resize": "half-pixel"}, 11, "resizing tf1 in these .*, and half-pixel here"),
        ({}, 10, "frames 11 in these statistics, and 10 here"),
        ({"metrics": ("kvd",)}, 11, "kvd: .* holds mean and covariance"),
        ({"metrics": ("psnr",)}, 11, "psnr: .* holds mean and covariance"),
    ],
)
def test_another_protocol_is_refused(sides, saved, settings, frames, said):
    samples = open_videos(sides[0].name, frames)
    with pytest.raises(Refused, match=said):
        plan_metrics(samples, known(saved), replace(BOTH, **settings))


def test_another_rate_other_windows_and_weights_are_refused(sides, saved, tmp_path):
    samples, clips = sides
    path = tmp_path / "first.npz"
    first = replace(BOTH, metrics=("fvd",))
    at_ten = replace(clips, fps=10.0)
    save_statistics(plan_metrics(at_ten, at_ten, first), path, Silent())
    assert plan_metrics(samples, known(path), first).starts == (0,)
    with pytest.raises(Refused, match=r"a second 10\.0 in .*, and 30.0 here"):
        plan_metrics(replace(samples, fps=30.0), known(path), first)
    with pytest.raises(Refused, match=r"windows at frames 0 in .*, and 0, 1, 2 here"):
        plan_metrics(samples, known(path), BOTH)
    other = tmp_path / "other.ckpt"
    other.write_bytes(b"others")
    with pytest.raises(Refused, match=r"I3D af5c50f0df57 in these .* here"):
        plan_metrics(samples, known(path), first, i3d=other)


def changed(path, **members):
    """Write the statistics with other members."""
    kept = dict(np.load(path)) | members
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})


def protocol(path, **values):
    known = json.loads(np.load(path)["protocol"].tobytes()) | values
    return np.frombuffer(json.dumps(known).encode(), np.uint8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: changed(p, mean=None), "it lacks mean.npy"),
        (lambda p: changed(p, mean=np.zeros((3, 9))), r"float64 \[3, 9\], should be"),
        (lambda p: changed(p, mean=np.full((3, 400), np.nan)), "not finite"),
        (lambda p: changed(p, protocol=protocol(p, clips=1)), "1 clip or no window"),
        (lambda p: changed(p, protocol=protocol(p, format=2)), "format 2, should be 1"),
        (lambda p: changed(p, protocol=protocol(p, window="x\n")), "window: Input"),
        (
            lambda p: changed(p, protocol=np.array([{}], object)),
            "could run any code, so it is not read",
        ),
        (lambda p: p.write_bytes(p.read_bytes()[:-50]), "not a whole .npz"),
    ],
)
def test_damaged_and_foreign_files_are_refused_in_one_line(saved, change, said):
    change(saved)
    with pytest.raises(Failure, match=said) as refused:
        known(saved)
    assert isinstance(refused.value, BadData | Refused)
    assert "\n" not in str(refused.value)


def test_a_flipped_bit_is_found(saved):
    with zipfile.ZipFile(saved) as archive:
        start = archive.getinfo("root.npy").header_offset
    content = bytearray(saved.read_bytes())
    content[start + 500] ^= 1
    saved.write_bytes(content)
    with pytest.raises(BadData, match=r"not a whole .npz .*CRC"):
        known(saved)


def test_videos_are_not_taken_for_statistics(saved, tmp_path):
    np.savez(tmp_path / "videos.npz", x=np.zeros((2, 9, 4, 4, 3), np.uint8))
    assert is_statistics(saved)
    assert not is_statistics(tmp_path / "videos.npz")
    assert not is_statistics(tmp_path / "none.npz")
