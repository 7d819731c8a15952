"""Scores of runs from their small files, and the settings in which they differ."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.evaluate.results import LikelihoodResult, MetricsResult, write_result
from svtcli.evaluate.run_scores import run_scores, scored, text
from svtcli.evaluate.run_table import cells, table_rows
from svtcli.run.directory import RunFolder, write_run
from svtcli.run.metrics_log import MetricsLog
from tests.evaluate.test_paper_table import comparison, evaluation
from tests.train import tiny_run

Make = Callable[..., RunFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    recipe = tiny_run.write_recipe(tmp_path, tmp_path / "clips")

    def make(
        name: str,
        *overrides: str,
        results: tuple[LikelihoodResult | MetricsResult, ...],
    ) -> RunFolder:
        run = RunFolder(tmp_path / "runs" / name)
        loaded = tiny_run.loaded(recipe, *overrides)
        write_run(run, loaded, devices=["cpu"], data_fingerprint="abc")
        for number, result in enumerate(results):
            write_result(run.eval / f"{number}.json", result)
        return run

    return make


def test_the_newest_step_and_most_clips_count(make: Make) -> None:
    older = replace(evaluation("test", 1.0), step=6, clips=999)
    few = replace(evaluation("test", 2.0), clips=4)
    whole, val = evaluation("test", 3.0), evaluation("val", 4.0)
    run = make("a", results=(whole, few, older, val, comparison(90.0, 2)))
    with MetricsLog(run.metrics) as log:
        log.append(1, bits_per_dim=9.0, validation_bits_per_dim=8.0)
        log.append(2, bits_per_dim=float("nan"))
    assert run_scores(run) == {
        "training.bits_per_dim": 9.0,
        "validation.bits_per_dim": 8.0,
        "test.bits_per_dim": 3.0,
        "val.bits_per_dim": 4.0,
    }


def test_settings_are_those_in_which_trainings_differ(make: Make) -> None:
    both = "model.encoder_layers={0}", "model.decoder_layers={0}", "sample.seed={0}"
    runs = [
        make(
            f"l{layers}-{seed}",
            *(word.format(layers) for word in both),
            f"train.seed={seed}",
            results=(evaluation("test", layers + seed / 10),),
        )
        for layers in (1, 2)
        for seed in (0, 1, 2)
    ]
    headings, lines = cells(table_rows(scored(runs)))
    assert headings == [
        *("model.encoder_layers, model.decoder_layers", "runs", "bits/dim (test)")
    ]
    assert lines == [["1", "3", "1.100 ± 0.100"], ["2", "3", "2.100 ± 0.100"]]


def test_samples_of_several_settings_are_rows(make: Make) -> None:
    warm = comparison(120.0, 2)
    fvd = replace(warm.settings, metrics=("fvd", "fvd-avg"))
    warm = replace(warm, settings=fvd)
    assert warm.made is not None
    cold = comparison(80.0, 2)
    cold = replace(
        cold, settings=fvd, made=replace(warm.made, temperature=0.5), fingerprint="b"
    )
    run = make("a", results=(evaluation("test", 1.5), warm, cold))
    headings, lines = cells(table_rows(scored([run])))
    assert headings == [
        *("sample.temperature", "bits/dim (test)", "FVD (test)", "FVD (avg) (test)")
    ]
    assert sorted(lines) == [
        ["0.5", "1.500", "80.00", "85.00"],
        ["0.9", "1.500", "120.00", "125.00"],
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1e-5, "1e-5"), (0.9, "0.9"), (None, "none"), (True, "true"), ("adam", "adam")],
)
def test_values(value: object, shown: str) -> None:
    assert text(value) == shown
