"""Curves of runs: what their files say, and only what can be compared together."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.evaluate.fvd.protocol import Distances, Spread
from svtcli.evaluate.results import Fvd, MetricsResult, Side, write_result
from svtcli.failure import BadData, Refused
from svtcli.recipe.schema import Compare
from svtcli.render.curves import (
    draw_curves,
    panels_by_file,
)
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import MetricsLog
from svtcli.run.progress import Silent
from tests.render.made_up import made_up_samples

FACTS = replace(made_up_samples().facts, run="a", step=30)


def compared(*trials, facts=FACTS, window=2, clips=4):
    """FVD of as many windows as a trial has numbers."""
    curve = tuple(Spread.over(window) for window in zip(*trials, strict=True))
    distances = Distances(curve[0], curve[0], curve[0], 0.0, 0.0, curve)
    fvd = Fvd(distances, window, tuple(range(len(curve))), "tf1", "f" * 64, 152.9, None)
    side = Side("s", clips, 7)
    made = (side, side, len(trials), 1, 2, Compare(), fvd, {}, facts, (), "cpu", "")
    return MetricsResult(*made)


@pytest.fixture
def make(tmp_path):
    def run(name, rows=(), comparisons=()):
        """A run that logged `rows` and measured `comparisons`."""
        folder = RunFolder(tmp_path / name)
        with MetricsLog(folder.metrics) as log:
            for step, values in rows:
                log.append(step, **values)
        for number, comparison in enumerate(comparisons):
            write_result(folder.eval / f"30-{number}.json", comparison)
        return folder

    return run


def panels(*runs):
    return panels_by_file(runs)


def test_training_shows_every_logged_score_and_held_out_ones(make):
    rows = [
        (10, {"bits_per_dim": 8.0, "loss": 1.0}),
        (20, {"bits_per_dim": 4.0}),
        (20, {"validation_bits_per_dim": 5.0}),
    ]
    ((panel,),) = panels(make("a", rows)).values()
    trained, held_out = panel.curves
    assert (trained.x, trained.y, trained.quiet) == ((10, 20), (8, 4), True)
    assert (held_out.x, held_out.y, held_out.quiet) == ((20,), (5,), False)
    assert [curve.label for curve in panel.curves] == ["training", "validation"]
    assert (panel.title, panel.y_name) == ("Training of a", "bits/dim")


def test_runs_stand_in_one_panel_and_units_in_two(make):
    bits = make("a", [(10, {"bits_per_dim": 8.0})])
    more = make("b", [(10, {"bits_per_dim": 7.0})])
    nats = make("c", [(10, {"nats_per_frame": 90.0})])
    ((one, two),) = panels(bits, more, nats).values()
    assert [curve.label for curve in one.curves] == ["a, training", "b, training"]
    assert [curve.of for curve in one.curves] == [0, 1]
    assert [curve.label for curve in two.curves] == ["c, training"]
    assert two.y_name == "nats/frame"


def test_unrolled_fvd_is_the_mean_of_each_window_and_its_deviation(make):
    run = make("a", (), [compared((10.0, 30.0), (20.0, 50.0))])
    ((panel,),) = panels(run).values()
    (curve,) = panel.curves
    assert (curve.label, curve.x, curve.y) == ("a@30", (0, 1), (15, 40))
    assert curve.spread == (5, 10)
    assert panel.note == (
        "split test, 4 samples, 4 clips, 7 frames, 2 of them prime, windows of 2, "
        "tf1 resizing; band: ± std of 2 trials"
    )


def test_a_single_trial_has_no_band_and_a_single_window_no_curve(make):
    ((panel,),) = panels(make("a", (), [compared((1.0, 2.0))])).values()
    assert panel.curves[0].spread == ()
    assert "band" not in panel.note
    assert panels(make("b", (), [compared((1.0,))])) == {}


def test_fvd_of_different_protocols_is_not_drawn_together(make):
    numbers = (1.0, 2.0)
    a = make("a", (), [compared(numbers), compared(numbers, clips=8)])
    b = make("b", (), [compared(numbers, facts=replace(FACTS, run="b"))])
    ((four, eight),) = panels(a, b).values()
    assert [curve.label for curve in four.curves] == ["a@30", "b@30"]
    assert [curve.label for curve in eight.curves] == ["a@30"]


def test_what_sets_samples_apart_is_said_and_no_two_curves_are_called_alike(make):
    warm = replace(FACTS, temperature=1.0, top_k=5)
    every = [compared((1.0, 2.0), facts=facts) for facts in (FACTS, warm, warm)]
    ((panel,),) = panels(make("a", (), every)).values()
    assert [curve.label for curve in panel.curves] == [
        "a@30, temp 0.9",
        "a@30, temp 1, top-k 5",
        "a@30, temp 1, top-k 5 (2)",
    ]


def stale(run, out):
    """Names of the pictures that would be drawn."""
    return [path.name for path in draw_curves((run,), out, Silent(), dry_run=True)]


def test_curves_are_fresh_until_a_file_of_the_run_changes(make, tmp_path):
    run = make("a", [(10, {"bits_per_dim": 8.0})], [compared((1.0, 2.0))])
    out = tmp_path / "out"
    assert stale(run, out) == ["training.png", "fvd.png"]
    assert not out.exists()
    drawn = draw_curves((run,), out, Silent())
    assert sorted(path.name for path in out.iterdir()) == [
        "figures.json",
        "fvd.png",
        "training.png",
    ]
    record = json.loads((out / "figures.json").read_text())
    assert record["pictures"]["fvd.png"]["runs"] == ["a"]
    assert draw_curves((run,), out, Silent()) == drawn
    assert stale(run, out) == []
    with MetricsLog(run.metrics) as log:
        log.append(20, bits_per_dim=7.0)
    assert stale(run, out) == ["training.png"]
    drawn[1].unlink()
    assert stale(run, out) == ["training.png", "fvd.png"]


def test_runs_without_a_number_and_broken_files_are_refused(make, tmp_path):
    with pytest.raises(Refused, match="nothing is logged or measured here yet"):
        draw_curves((make("a"), make("b")), tmp_path / "out", Silent())
    broken = make("c", [(10, {"bits_per_dim": 8.0})])
    Path(broken.metrics).write_text("no row\n")
    with pytest.raises(BadData, match="not a row of metrics"):
        draw_curves((broken,), tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()
