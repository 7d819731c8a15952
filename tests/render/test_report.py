"""What the page says of a run: the numbers of its files, and what they depend on."""

import math
import shutil
from dataclasses import replace

import pytest

from svtcli.evaluate.fvd.protocol import Distances, Spread
from svtcli.evaluate.quality import Quality
from svtcli.evaluate.results import (
    Fvd,
    LikelihoodResult,
    MetricsResult,
    ModelScore,
    Side,
    write_result,
)
from svtcli.failure import BadData
from svtcli.recipe.load import load_recipe
from svtcli.recipe.schema import Compare, Render
from svtcli.render import curves
from svtcli.render.groups import caption, groups_of
from svtcli.render.page import report
from svtcli.render.stage import report_inputs
from svtcli.run.directory import RunFolder, write_run
from svtcli.run.metrics_log import MetricsLog
from svtcli.run.samples import write_samples
from tests.render.made_up import made_up_samples

SAMPLES = made_up_samples()
REAL = "floor of unpaired clips (real against other real clips): 7.50"
SCORED = LikelihoodResult(
    run="walk",
    step=300,
    unit="bits_per_dim",
    dataset="walks",
    split="test",
    clips=8,
    prime=2,
    frames=5,
    overlap=2,
    rows=(
        ModelScore("trained", 3.0361, 0.3249, (3.0, 2.5, 3.5)),
        ModelScore("uniform", 8.0, None, (8.0, 8.0, 8.0)),
    ),
    lower_bound=None,
    fingerprint="",
)


def compared(trials=2, windows=3, k=2, **changes):
    """Everything that can be measured of samples."""
    spreads = [
        Spread.over([10.0 * w + t for t in range(trials)]) for w in range(windows)
    ]
    found = Distances(spreads[0], spreads[1], spreads[2], 1.0, 2.0, tuple(spreads))
    fvd = Fvd(found, 9, tuple(range(windows)), "tf1", "f" * 64, 152.9027, 7.5)
    psnr = Quality(20.0, 0.5, (21.0, 19.0), 22.0, None, (23.0, 21.0), 3, k)
    metrics = ("fvd", "fvd-avg", "kvd", "psnr")
    side = Side("runs/walk/samples/300", 4, 7)
    made = replace(SAMPLES.facts, top_k=5)
    whole = MetricsResult(
        *(side, side, trials, 1, 2, Compare(metrics=metrics), fvd, {"psnr": psnr}),
        *(made, ("only 4 clips",), "cpu", ""),
    )
    return replace(whole, **changes)


@pytest.fixture
def run(tmp_path):
    """A run with samples, scores, a comparison and a log."""
    folder = RunFolder(tmp_path / "runs" / "walk")
    recipe = tmp_path / "walk.yaml"
    recipe.write_text("about: a walk\ndata: {kind: folder, source: a}\n")
    loaded = load_recipe(str(recipe), ["train.steps=300"])
    command = ("svt", "train", "my walk.yaml", "train.steps=300")
    write_run(
        folder, loaded, devices=["cpu"], data_fingerprint="da" * 32, command=command
    )
    write_samples(folder.samples / "300", SAMPLES)
    folder.eval.mkdir()
    write_result(folder.eval / "300-test.json", SCORED)
    write_result(folder.eval / "300-test-samples.json", compared())
    with MetricsLog(folder.metrics) as log:
        log.append(100, bits_per_dim=8.0, loss=1.0)
        log.append(200, bits_per_dim=4.0, loss=1.0)
        log.append(200, validation_bits_per_dim=5.0)
    return folder


def page_of(*folders):
    models = {"walk": SAMPLES}
    groups, facts = groups_of(models, 1), caption(models)
    return report(folders, groups, facts, (0, 2), Render(scale=4, fps=5.0, smooth=True))


def test_the_samples_are_shown_as_the_recipe_wants_them(run):
    page = page_of(run.samples / "300")
    assert (page.title, page.about) == ("walk (step 300)", "a walk")
    settings = page.settings
    assert (settings.scale, settings.smooth, settings.fps) == (4, True, 5.0)
    assert page.times == (0, 2)
    assert [group.title for group in page.groups] == ["clip-0"]


def test_likelihood_stands_with_its_error_and_the_baselines(run):
    table = page_of(run.samples / "300").tables[0]
    assert table.columns == ("model", "bits/dim", "± s.e.")
    assert table.rows == (("trained", "3.036", "0.325"), ("uniform", "8.000", ""))
    assert table.about == (
        "walk@300, split test of walks, 8 clips, frames 2 to 4 scored; lower is better"
    )


def test_comparisons_stand_with_spread_protocol_and_warnings(run):
    table = page_of(run.samples / "300").tables[1]
    assert table.rows == (
        (
            "FVD, the first 9 frames, 2 prime frames included",
            "0.50",
            "0.50",
            "2 trials (std)",
        ),
        ("FVD (avg), 3 windows of 9 frames", "10.50", "0.50", "2 trials (std)"),
        (
            "KVD, the first 9 frames, 2 prime frames included",
            "20.50",
            "0.50",
            "2 trials (std)",
        ),
        ("PSNR, dB, mean of 2", "20.000", "0.500", "4 clips (s.e.)"),
        ("PSNR, dB, best of 2", "22.000", "", "4 clips (s.e.)"),
    )
    assert table.warnings == ("only 4 clips",)
    assert (
        table.about
        == "walk@300, split test; 4 samples per trial, compared with 4 clips"
    )
    assert table.notes == (
        "samples of 7 frames, 2 prime frames",
        "temperature 0.9, top-k 5, seed 0, split test, sampled from walk@300",
        (
            "FVD of 9 frames: convention tf, tf1 resizing to 224, I3D ffffffffffff, "
            "self-test 152.903"
        ),
        f"FVD is means 1.00 + covariances 2.00; {REAL}",
        "KVD: kernel (x·y/400 + 1)³, unbiased",
        "3 frames of PSNR at the cap of 100 dB",
    )


def test_a_single_trial_has_no_spread_and_a_single_sample_no_best(run):
    alone = compared(trials=1, k=1)
    write_result(run.eval / "300-test-samples.json", alone)
    page = page_of(run.samples / "300")
    assert page.tables[1].rows[0] == (
        "FVD, the first 9 frames, 2 prime frames included",
        "0.00",
        "",
        "1 trial",
    )
    assert page.tables[1].rows[3:] == (
        ("PSNR, dB, 1 sample each", "20.000", "0.500", "4 clips (s.e.)"),
    )
    fvd, psnr = page.panels[-2:]
    assert fvd.curves[0].spread == ()
    assert [curve.label for curve in psnr.curves] == [""]


def test_errors_are_over_clips_however_many_samples_each_has(run):
    write_result(run.eval / "300-test-samples.json", compared(per_prime=2))
    rows = page_of(run.samples / "300").tables[1].rows
    assert rows[3] == ("PSNR, dB, mean of 2", "20.000", "0.500", "2 clips (s.e.)")


def test_only_what_was_asked_for_is_in_the_table(run):
    write_result(
        run.eval / "300-test-samples.json",
        compared(settings=Compare(metrics=("kvd",)), quality={}),
    )
    rows = page_of(run.samples / "300").tables[1].rows
    assert [row[0] for row in rows] == [
        "KVD, the first 9 frames, 2 prime frames included"
    ]


def test_curves_are_those_of_the_files(run):
    training, likelihood, fvd, psnr = page_of(run.samples / "300").panels
    assert [(line.label, line.x, line.y) for line in training.curves] == [
        ("training", (100.0, 200.0), (8.0, 4.0)),
        ("validation", (200.0,), (5.0,)),
    ]
    assert (likelihood.curves[0].x, likelihood.curves[0].y) == (
        (2.0, 3.0, 4.0),
        (3.0, 2.5, 3.5),
    )
    assert (fvd.curves[0].x, fvd.curves[0].y) == ((0.0, 1.0, 2.0), (0.5, 10.5, 20.5))
    assert fvd.curves[0].spread == (0.5, 0.5, 0.5)
    assert [(line.label, line.x, line.y) for line in psnr.curves] == [
        ("mean of 2", (2.0, 3.0), (21.0, 19.0)),
        ("best of 2", (2.0, 3.0), (23.0, 21.0)),
    ]


def test_two_runs_share_the_charts_that_can_be_compared(run, tmp_path):
    other = RunFolder(tmp_path / "runs" / "jog")
    shutil.copytree(run.path, other.path)
    facts = replace(SAMPLES.facts, run="jog")
    write_samples(other.samples / "300", replace(SAMPLES, facts=facts))
    scored = replace(SCORED, run="jog")
    write_result(other.eval / "300-test.json", scored)
    made = replace(facts, top_k=5)
    write_result(other.eval / "300-test-samples.json", compared(made=made))
    page = page_of(run.samples / "300", other.samples / "300")
    labels = {
        panel.title: [curve.label for curve in panel.curves]
        for panel in page.panels
        if panel.title != "PSNR by frame"
    }
    assert labels == {
        "Training": [
            *("walk, training", "walk, validation"),
            *("jog, training", "jog, validation"),
        ],
        "Likelihood by frame": ["walk@300", "jog@300"],
        "Unrolled FVD": ["walk@300", "jog@300"],
    }
    notes = [panel.note for panel in page.panels if panel.title == "PSNR by frame"]
    assert notes == [
        f"{name}@300, split test; higher is better" for name in ("walk", "jog")
    ]


def test_a_long_training_is_drawn_as_means_and_says_so(run, monkeypatch):
    monkeypatch.setattr(curves, "POINTS", 2)
    with MetricsLog(run.metrics) as log:
        log.append(300, bits_per_dim=math.nan)
        log.append(400, bits_per_dim=math.nan)
        log.append(500, bits_per_dim=2.0)
    training = page_of(run.samples / "300").panels[0]
    assert training.curves[0].x == (200.0, 450.0)
    assert training.curves[0].y == (6.0, 2.0)
    assert training.note == "each point is the mean of 3 logged values"


def test_other_steps_have_tables_but_no_curves_and_come_last(run):
    earlier = replace(SCORED, step=100, clips=9)
    write_result(run.eval / "100-test.json", earlier)
    made = replace(SAMPLES.facts, step=100)
    write_result(run.eval / "100-test-samples.json", compared(made=made))
    page = page_of(run.samples / "300")
    steps = [table.about.partition(",")[0] for table in page.tables]
    assert steps == ["walk@300", "walk@100", "walk@300", "walk@100"]
    assert len(page.panels) == 4


def test_of_several_scores_of_a_split_the_one_of_most_clips_has_the_curve(run):
    few = replace(
        SCORED, clips=3, rows=(ModelScore("trained", 1.0, None, (1.0, 1.0, 1.0)),)
    )
    write_result(run.eval / "300-a.json", few)
    page = page_of(run.samples / "300")
    assert len(page.tables) == 3
    panels = [chart for chart in page.panels if chart.title == "Likelihood by frame"]
    assert [chart.curves[0].y for chart in panels] == [(3.0, 2.5, 3.5)]


def test_command_recipe_and_environment_are_those_of_the_run(run):
    (made,) = page_of(run.samples / "300").origins
    assert made.name == "walk"
    assert made.command == "svt train 'my walk.yaml' train.steps=300"
    assert made.recipe == run.recipe_file.read_text()
    environment = made.environment
    assert environment["overrides"] == "train.steps=300"
    assert environment["devices"] == "cpu"
    assert environment["seed"] == "0"
    assert {"python", "jax", "numpy"} <= set(environment)


def test_samples_outside_of_a_run_have_a_page_of_the_videos_alone(tmp_path):
    write_samples(tmp_path / "mine", SAMPLES)
    page = page_of(tmp_path / "mine")
    assert page.title == "walk (step 300)"
    assert (page.tables, page.panels, page.origins, page.about) == ((), (), (), "")
    assert report_inputs((tmp_path / "mine",)) == ()


def test_a_run_without_evaluations_or_log_has_a_page(run):
    for file in (*run.eval.iterdir(), run.metrics):
        file.unlink()
    page = page_of(run.samples / "300")
    assert (page.tables, page.panels) == ((), ())


def test_samples_of_one_run_tell_its_numbers_once(run):
    write_samples(run.samples / "other", SAMPLES)
    page = page_of(run.samples / "300", run.samples / "other")
    assert len(page.tables) == 2
    assert len(page.origins) == 1
    assert page.title == "walk (step 300) vs. walk (step 300)"


@pytest.mark.parametrize("name", ["300-test.json", "300-test-samples.json"])
def test_a_broken_evaluation_is_bad_data(run, name):
    text = (run.eval / name).read_text()
    (run.eval / name).write_text(text.replace('"prime": 2', '"prime": []', 1)[:-20])
    with pytest.raises(BadData, match="damaged"):
        page_of(run.samples / "300")
