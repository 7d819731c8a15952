"""Samples of anyone against clips: what is measured, refused, warned of and kept."""

import os
import signal
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest

from svtcli.evaluate import manifold
from svtcli.evaluate.foreign import open_videos
from svtcli.evaluate.fvd import features as features_stage
from svtcli.evaluate.fvd.protocol import frechet
from svtcli.evaluate.measure import measure
from svtcli.evaluate.metrics import METRICS, PAIRED
from svtcli.evaluate.plan import plan_metrics
from svtcli.evaluate.quality import psnr
from svtcli.evaluate.results import (
    MetricsResult,
    metric_rows,
    protocol_notes,
    read_result,
    result_data,
)
from svtcli.evaluate.run_scores import result_scores
from svtcli.evaluate.weights import LPIPS_WEIGHTS
from svtcli.failure import BadData, Refused, Stopped
from svtcli.recipe.schema import Compare
from svtcli.run.distribution import install_command
from svtcli.run.durable import write_record
from svtcli.run.progress import Silent

pytestmark = pytest.mark.usefixtures("cheap_features")

ALL = Compare(metrics=("fvd", "fvd-avg", "kvd", "psnr"), window=9)
FVD = replace(ALL, metrics=("fvd",))
SSIM = replace(ALL, metrics=("ssim",))
LPIPS = replace(ALL, metrics=("lpips",))


def videos(place, name, *shape, seed=0):
    """An array file of noise whose brightness differs from clip to clip."""
    random = np.random.default_rng(seed)
    bright = random.integers(20, 236, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    noise = random.integers(-20, 20, shape)
    path = place / f"{name}.npy"
    np.save(path, (bright + noise).astype(np.uint8))
    return open_videos(str(path))


@pytest.fixture
def pair(tmp_path):
    """Two continuations each of five clips, and the clips."""
    return (
        videos(tmp_path, "samples", 5, 2, 11, 12, 12, 3),
        videos(tmp_path, "clips", 5, 11, 12, 12, 3, seed=1),
    )


def cheap(array):
    return features_stage.features(None, array, "tf1")


def test_compilation_is_announced(pair):
    class Told(Silent):
        def note(self, line):
            said.append(line)

    said: list[str] = []
    samples, clips = pair
    measure(plan_metrics(samples, clips, FVD), Told())
    assert [line for line in said if "first features" in line] == [
        "compiling FVD's network (the first features wait for it)"
    ]


def test_every_window_of_every_trial_is_compared_with_its_own(pair):
    samples, clips = pair
    found = measure(plan_metrics(samples, clips, ALL, prime=1), Silent())
    made, real = (np.load(side.name) for side in pair)
    expected = [
        [
            frechet(cheap(real[:, k : k + 9]), cheap(made[:, s, k : k + 9])).distance
            for k in range(3)
        ]
        for s in range(2)
    ]
    d = np.array(expected)
    assert found.fvd.starts == (0, 1, 2)
    assert found.fvd.distances.fvd.trials == pytest.approx(tuple(d[:, 0]))
    assert found.fvd.distances.fvd_avg.trials == pytest.approx(tuple(d.mean(axis=1)))
    assert found.trials == 2
    by_frame = psnr(made, np.broadcast_to(real[:, None], made.shape))[:, :, 1:]
    assert found.quality["psnr"].mean_of_k == pytest.approx(by_frame.mean())
    best = by_frame.mean(axis=2).max(axis=1).mean()
    assert found.quality["psnr"].best_of_k == pytest.approx(best)


def test_only_the_first_window_is_computed_unless_the_average_is_asked_for(pair):
    found = measure(plan_metrics(*pair, FVD), Silent())
    assert found.fvd.starts == (0,)
    assert len(found.fvd.distances.curve) == 1
    assert result_data(found)["fvd"]["distances"]["fvd_avg"] is None


def test_an_average_over_one_window_is_no_number(pair):
    found = measure(plan_metrics(*pair, replace(ALL, window=11), prime=1), Silent())
    assert found.fvd.distances.fvd_avg is None
    (row,) = [row for row in metric_rows(found) if row.metric == "FVD (avg)"]
    assert (row.value, row.over) == ("-", "needs 2 windows or more")
    assert set(result_scores([], [replace(found, made=None)])) == {
        f"{found.reference.name}.{name}" for name in ("fvd", "kvd", "psnr")
    }


def test_labels_and_notes_name_what_the_numbers_depend_on(pair, monkeypatch):
    """Without LPIPS' network, which is 60 MB: its row is measured as SSIM is."""
    ssim = replace(METRICS["lpips"], load=METRICS["ssim"].load, smallest=lambda _: 11)
    monkeypatch.setitem(PAIRED, "lpips", ssim)
    asked = replace(
        ALL, metrics=("kvd", "ssim", "lpips"), gray=True, lpips="vgg16", window=9
    )
    found = measure(plan_metrics(*pair, asked, prime=1), Silent())
    labels = [row.metric for row in metric_rows(found)]
    assert list(dict.fromkeys(labels)) == ["KVD", "SSIM (luma)", "LPIPS (vgg16)"]
    notes = "; ".join(protocol_notes(found))
    assert "KVD: kernel (x·y/400 + 1)³, unbiased" in notes
    assert "LPIPS (vgg16): weights 2ecbe4ce0116" in notes
    data = result_data(found)
    assert data["weights"] == {"lpips": LPIPS_WEIGHTS["vgg16"].sha256}
    assert data["fvd"]["kernel"] == "(x·y/400 + 1)³"


def test_a_stride_leaves_windows_out(pair):
    found = measure(plan_metrics(*pair, replace(ALL, stride=2), prime=1), Silent())
    assert found.fvd.starts == (0, 2)


def test_several_continuations_of_a_trial_are_taken_together(pair):
    samples, clips = pair
    together = replace(FVD, per_prime=2)
    found = measure(plan_metrics(samples, clips, together), Silent())
    made, real = (np.load(side.name)[..., :9, :, :, :] for side in pair)
    pooled = np.concatenate([cheap(made[:, 0]), cheap(made[:, 1])])
    assert (found.trials, found.samples.clips) == (1, 10)
    expected = frechet(cheap(real), pooled).distance
    assert found.fvd.distances.fvd.mean == pytest.approx(expected)
    assert "unequal numbers of clips: 5 real, 10 sampled" in found.warnings


def test_the_order_of_clips_does_not_matter(pair, tmp_path):
    samples, clips = pair
    np.save(tmp_path / "turned.npy", np.load(samples.name)[::-1])
    turned = open_videos(str(tmp_path / "turned.npy"))
    numbers = [
        measure(plan_metrics(each, clips, FVD), Silent()).fvd.distances.fvd.mean
        for each in (samples, turned)
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)


def test_clips_are_at_no_distance_from_themselves(pair):
    _, clips = pair
    found = measure(plan_metrics(clips, clips, ALL, prime=0), Silent())
    spread = np.square(np.std(cheap(np.load(clips.name)), axis=0)).sum()
    assert found.fvd.distances.fvd_avg.mean <= 1e-9 * spread
    assert found.quality["psnr"].mean_of_k == 100
    assert found.quality["psnr"].capped == 5 * 11


def test_real_against_real_is_fvd_of_two_halves_of_real_clips(
    pair, tmp_path, cheap_features
):
    samples, clips = pair
    many = videos(tmp_path, "many", 10, 11, 12, 12, 3, seed=1)
    found = measure(plan_metrics(samples, many, FVD), Silent())
    # The ten clips once, in batches of eight, and five samples in two trials.
    assert [clips for clips, *_ in cheap_features] == [8, 8, 5, 5]
    halves = np.load(many.name)[:, :9]
    expected = frechet(cheap(halves[::2]), cheap(halves[1::2])).distance
    assert found.fvd.unpaired_floor == pytest.approx(expected)
    assert (
        measure(plan_metrics(samples, clips, FVD), Silent()).fvd.unpaired_floor is None
    )
    others = plan_metrics(samples, clips, FVD, others=many)
    assert measure(others, Silent()).fvd.unpaired_floor == pytest.approx(expected)


def test_trials_are_compared_with_one_another(tmp_path):
    samples = videos(tmp_path, "samples", 5, 4, 9, 12, 12, 3)
    clips = videos(tmp_path, "clips", 5, 9, 12, 12, 3, seed=1)
    a, b, c, d = (cheap(np.load(samples.name)[:, s]) for s in range(4))
    found = measure(plan_metrics(samples, clips, FVD), Silent()).fvd.between_trials
    pairs = [frechet(*each).distance for each in ((a, b), (b, c), (c, d))]
    assert found == pytest.approx(np.mean(pairs))
    # Two continuations in a trial: one takes the place of the clips.
    pooled = replace(FVD, per_prime=2)
    found = measure(plan_metrics(samples, clips, pooled), Silent()).fvd.between_trials
    expected = frechet(a, np.concatenate([c, d])).distance
    assert found == pytest.approx(expected)
    one = replace(FVD, trials=1)
    assert (
        measure(plan_metrics(samples, clips, one), Silent()).fvd.between_trials is None
    )


def test_metrics_of_neighbours_are_of_the_first_window_of_every_trial(tmp_path):
    samples = videos(tmp_path, "samples", 7, 2, 11, 12, 12, 3)
    clips = videos(tmp_path, "clips", 7, 11, 12, 12, 3, seed=1)
    names = ("fvd-avg", "precision", "recall", "density", "coverage")
    settings = replace(ALL, metrics=names)
    found = measure(plan_metrics(samples, clips, settings), Silent())
    real = cheap(np.load(clips.name)[:, :9])
    fakes = [cheap(np.load(samples.name)[:, s, :9]) for s in range(2)]
    for name in names[1:]:
        of_trials = tuple(getattr(manifold, name)(real, fake) for fake in fakes)
        assert found.fvd.distances.others[name].trials == of_trials
    rows = metric_rows(found)
    assert [row.metric for row in rows][1:3] == ["Precision (k = 3)", "Recall (k = 3)"]
    assert result_scores([], [found])[f"{clips.name}.recall"] == pytest.approx(
        found.fvd.distances.others["recall"].mean
    )
    with pytest.raises(Refused, match=r"Density \(k = 5\) needs 6 clips or more"):
        plan_metrics(samples, clips, replace(FVD, metrics=("density",)), clips=5)


def test_a_result_from_before_still_reads(pair, tmp_path):
    out = tmp_path / "numbers.json"
    found = measure(plan_metrics(*pair, FVD, out=out), Silent())
    old = result_data(found)
    old["fvd"]["floor"] = old["fvd"].pop("unpaired_floor")
    del old["fvd"]["between_trials"], old["fvd"]["distances"]["others"]
    out.unlink()
    write_record(out, old)
    read = read_result(out, MetricsResult)
    assert read.fvd.unpaired_floor == found.fvd.unpaired_floor


def test_fewer_clips_are_spread_over_both_sides_alike(pair):
    plan = plan_metrics(*pair, ALL, prime=1, clips=3)
    assert plan.fake.rows.tolist() == plan.real.rows.tolist() == [0, 1, 3]
    found = measure(plan, Silent())
    assert found.samples.clips == 3
    made, real = (np.load(side.name)[[0, 1, 3]] for side in pair)
    expected = psnr(made, np.broadcast_to(real[:, None], made.shape))[:, :, 1:].mean()
    assert found.quality["psnr"].mean_of_k == pytest.approx(expected)


def test_a_result_is_written_whole_and_read_again(pair, tmp_path):
    out = tmp_path / "eval" / "numbers.json"
    found = measure(plan_metrics(*pair, ALL, prime=1, out=out), Silent())
    assert read_result(out, MetricsResult) == found
    with pytest.raises(Refused, match=r"numbers.json: already exists"):
        plan_metrics(*pair, ALL, prime=1, out=out)
    out.write_text('{"kind": "comparison"}')
    with pytest.raises(BadData, match=r"numbers.json: damaged"):
        read_result(out, MetricsResult)


class StopsAt(Silent):
    """Sends a signal once so many clips are done."""

    def __init__(self, clips: int, number: signal.Signals) -> None:
        self.clips, self.number = clips, number

    def advance(self, done, facts=None):
        if done >= self.clips:
            self.clips = 10**9
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)]
)
def test_a_stopped_measurement_computes_nothing_twice(
    pair, cheap_features, number, code
):
    plan = plan_metrics(*pair, replace(ALL, metrics=("fvd-avg",)))
    with pytest.raises(Stopped, match="features of 10 of 45 clips are kept") as stopped:
        measure(plan, StopsAt(10, number))
    assert stopped.value.code == code
    before = len(cheap_features)
    resumed = measure(plan, Silent())
    assert before == 2
    assert len(cheap_features) == 9
    assert measure(plan, Silent()) == resumed
    assert len(cheap_features) == 9


def test_a_reader_is_warned_of_what_makes_numbers_incomparable(pair, tmp_path):
    samples, _ = pair
    longer = videos(tmp_path, "longer", 6, 13, 14, 12, 1)
    plan = plan_metrics(
        replace(samples, lossy=True), longer, replace(FVD, resize="half-pixel")
    )
    said = "\n".join(plan.warnings)
    for expected in (
        "samples.npy is lossy",
        "5 clips, and covariances of 400 features",
        "unequal numbers of clips: 6 real, 5 sampled",
        "unequal lengths: 13 frames real, 11 sampled; the first 11 count",
        "half-pixel resizing",
        "unequal sizes: frames of 14x12 real, 12x12 sampled",
        "gray clips against colour samples",
    ):
        assert expected in said


def test_distances_can_leave_out_the_prime_frames(pair):
    settings = replace(ALL, metrics=("fvd-avg", "kvd"))
    included = plan_metrics(*pair, settings, prime=1)
    excluded = plan_metrics(*pair, replace(settings, exclude_prime=True), prime=1)
    assert (included.starts, excluded.starts) == ((0, 1, 2), (1, 2))
    every, later = (measure(plan, Silent()) for plan in (included, excluded))
    assert later.fvd.distances.curve == every.fvd.distances.curve[1:]
    of = [row.of for result in (every, later) for row in metric_rows(result)]
    assert of[1::2] == [
        "the first 9 frames, 1 prime frame included",
        "9 frames after the prime frames",
    ]


@pytest.mark.parametrize(
    ("prime", "said"),
    [(None, "number of prime frames of .* is not known"), (3, "8 frames after the")],
)
def test_prime_frames_can_only_be_left_out_where_enough_follow(pair, prime, said):
    with pytest.raises(Refused, match=said):
        plan_metrics(*pair, replace(FVD, exclude_prime=True), prime=prime)


def test_more_clips_than_features_need_no_warning(tmp_path):
    sides = [videos(tmp_path, name, 401, 9, 1, 1, 3) for name in "ab"]
    assert plan_metrics(*sides, FVD).warnings == ()
    (said,) = plan_metrics(*sides, FVD, clips=400).warnings
    assert said.startswith("400 clips, and covariances of 400 features")


@pytest.mark.parametrize(
    ("settings", "extra"), [(FVD, "fvd"), (LPIPS, "lpips")], ids=["fvd", "lpips"]
)
def test_a_network_that_is_not_installed_is_reported_first(
    pair, monkeypatch, settings, extra
):
    monkeypatch.setattr(metadata, "distribution", not_installed)
    with pytest.raises(Refused, match="not installed") as refused:
        plan_metrics(*pair, settings, prime=1)
    assert install_command(extra) in refused.value.hint


def not_installed(package):
    raise metadata.PackageNotFoundError(package)


@pytest.mark.parametrize(
    ("samples", "clips", "settings", "prime", "said"),
    [
        ((5, 8, 12, 12, 3), (5, 9, 12, 12, 3), FVD, 1, "8 frames, and FVD's window"),
        ((1, 9, 12, 12, 3), (5, 9, 12, 12, 3), FVD, 1, "one clip has none"),
        ((5, 9, 12, 12, 3), (6, 9, 12, 12, 3), ALL, 1, "there are 5 and 6"),
        ((5, 9, 12, 12, 3), (5, 9, 12, 14, 3), ALL, 1, r"\[12, 14, 3\]"),
        ((5, 9, 12, 12, 3), (5, 9, 12, 12, 3), ALL, None, "number of prime frames"),
        ((5, 9, 12, 12, 3), (5, 9, 12, 12, 3), ALL, 9, "9 prime frames in a video"),
        ((5, 9, 9, 12, 3), (5, 9, 9, 12, 3), SSIM, 1, "11x11 pixels and frames"),
        ((5, 9, 9, 12, 3), (5, 9, 9, 12, 3), LPIPS, 1, "frames are only 9x12"),
        (
            (5, 2, 9, 12, 12, 3),
            (5, 9, 12, 12, 3),
            replace(FVD, per_prime=3),
            1,
            "2 continuations of each clip, and one trial takes 3",
        ),
    ],
)
def test_incomparable_sets_are_refused(tmp_path, samples, clips, settings, prime, said):
    sides = videos(tmp_path, "samples", *samples), videos(tmp_path, "clips", *clips)
    with pytest.raises((Refused, BadData), match=said) as refused:
        plan_metrics(*sides, settings, prime=prime)
    assert refused.value.hint


def test_prime_frames_are_not_scored(pair):
    samples, clips = replace(pair[0], prime=5), pair[1]
    with pytest.raises(Refused, match=r"--prime 2: .*samples\.npy has 5 prime frames"):
        plan_metrics(samples, clips, ALL, prime=2)
    assert plan_metrics(samples, clips, ALL).prime == 5
    assert plan_metrics(samples, clips, ALL, prime=7).prime == 7


def test_features_that_are_not_finite_are_an_error(pair, monkeypatch):
    def broken(params, video, resize):
        values = np.zeros((len(video), 400), np.float32)
        values[min(1, len(video) - 1)] = np.nan
        return values

    monkeypatch.setattr(features_stage, "features", broken)
    with pytest.raises(BadData, match="features of 1 of 5 clips are not finite"):
        measure(plan_metrics(*pair, FVD), Silent())
