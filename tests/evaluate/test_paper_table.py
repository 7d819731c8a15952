"""The paper's numbers, and which of them belong beside a run's."""

import os
import re
from dataclasses import replace

import pytest

from svtcli.cli.eval_tables import paper_data, paper_table
from svtcli.evaluate.fvd.protocol import Distances, Spread
from svtcli.evaluate.paper_table import PAPER, paper_lines, published
from svtcli.evaluate.results import (
    Fvd,
    LikelihoodResult,
    MetricsResult,
    ModelScore,
    Side,
    write_result,
)
from svtcli.recipe.load import load_recipe, shipped_recipes
from svtcli.recipe.schema import Compare
from svtcli.run.directory import RunFolder
from svtcli.run.samples import SampleFacts
from svtcli.train.commit_record import Checkpoint


@pytest.mark.parametrize("full", PAPER)
def test_a_recipe_says_in_its_header_what_the_table_has(full):
    name, _, variant = full.partition(" ")
    text = shipped_recipes()[name].read_text()
    header = text.split("\nabout:")[0].replace("\n#", "")
    if variant:
        (header,) = re.findall(rf"^  {variant}: .*$", text, re.MULTILINE)
    for row in PAPER[full]:
        assert f"{row.likelihood:.2f}".removesuffix("0") in header
        for spread in (row.fvd, row.fvd_avg):
            if spread is not None:
                assert "{:g}±{:g}".format(*spread) in header


@pytest.mark.parametrize("name", PAPER)
def test_a_run_of_a_recipe_stands_beside_its_row(name):
    file, _, variant = name.partition(" ")
    changes = ("train.steps=5", "train.seed=3")
    recipe = load_recipe(file, changes, variant or None).recipe
    for row in PAPER[name]:
        assert published(recipe, row.split) == row
    assert published(recipe, "train") is None


def test_another_model_or_other_data_has_no_row():
    assert published(load_recipe("quickstart").recipe, "test") is None
    assert published(load_recipe("bair_large", ("model.d=256",)).recipe, "test") is None


def evaluation(split: str, mean: float) -> LikelihoodResult:
    rows = (
        ModelScore("trained", mean, 0.01, (mean,)),
        ModelScore("uniform", 8.0, 0.0, (8.0,)),
    )
    facts = (split, 256, 1, 16, 1, rows, None, f"of {mean}")
    return LikelihoodResult("mine", 7, "bits_per_dim", "bair", *facts)


def comparison(mean: float, windows: int) -> MetricsResult:
    spread = Spread(mean, 2.0, (mean - 2, mean + 2))
    average = Spread(mean + 5, 1.0, (mean + 4, mean + 6))
    side = Side("mine@7", 256, 30)
    found = Distances(spread, average, spread, 1.0, 2.0, (spread,) * windows)
    return MetricsResult(
        samples=side,
        reference=side,
        trials=20,
        per_prime=1,
        prime=1,
        settings=Compare(),
        fvd=Fvd(found, 16, tuple(range(windows)), "tf1", "af5c", 152.9, None),
        quality={},
        made=SampleFacts(
            run="mine", step=7, prime=1, frames=30, overlap=1, clips=("a",)
        ),
        warnings=(),
        device="cpu",
        fingerprint=f"of {mean}",
    )


@pytest.fixture
def checkpoint(tmp_path):
    """A run of `bair_large` with results of several calls, one after the other."""
    run = RunFolder(tmp_path / "mine")
    for age, (name, written) in enumerate(
        {
            "7-test-z": evaluation("test", 1.9),
            "7-test-b": evaluation("test", 1.36),
            "7-val-c": evaluation("val", 1.4),
            "6-test-d": evaluation("test", 9.9),
            "7-test-samples-z": comparison(150.0, 15),
            "7-test-samples-b": comparison(95.0, 15),
            "7-test-samples-c": replace(comparison(1.0, 1), fvd=None),
        }.items()
    ):
        path = run.eval / f"{name}.json"
        if isinstance(written, LikelihoodResult):
            write_result(path, written)
        else:
            write_result(path, written)
        os.utime(path, (age, age))
    return Checkpoint(run, 7, load_recipe("bair_large").recipe)


def test_the_newest_result_of_each_split_stands_beside_the_paper_s(checkpoint):
    test, val = paper_lines(checkpoint)
    assert (test.split, test.likelihood.mean, test.fvd.mean) == ("test", 1.36, 95.0)
    assert test.fvd_avg.mean == 100.0
    assert test.paper.likelihood == 1.35
    assert (val.split, val.likelihood.mean, val.fvd, val.paper) == (
        "val",
        1.4,
        None,
        None,
    )


def test_the_table_says_by_which_protocol_each_number_was_found(checkpoint):
    lines = paper_lines(checkpoint)
    text = paper_table(lines).splitlines()
    assert [line.split("  ")[0] for line in text[1:]] == [
        *("mine@7", "", "mine@7", "SV2P", "SAVP", "VideoFlow")
    ]
    ours, paper = text[1:3]
    for said in (
        "1.360 ± 0.010 bits/dim",
        "95.0 ± 2.0",
        "100.0 ± 1.0",
        "256 clips x 20, prime 1",
    ):
        assert said in ours
    for said in ("the paper", "1.35", "94 ± 2", "96 ± 2", "Table 1a", "20 trials"):
        assert said in paper
    assert "no FVD yet" in text[3]
    first = paper_data(lines)[0]
    assert (first["fvd"], first["paper"]["fvd"]) == (95.0, (94.0, 2.0))


def test_an_average_of_one_window_is_none(checkpoint):
    write_result(checkpoint.run.eval / "7-test-samples-y.json", comparison(90.0, 1))
    line = paper_lines(checkpoint)[0]
    assert (line.fvd.mean, line.fvd_avg) == (90.0, None)
