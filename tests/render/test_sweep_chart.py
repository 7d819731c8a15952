"""Charts of a table of runs: axes, curves, bars, and what is left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.evaluate.run_table import (
    OverSeeds,
    Row,
    ascending,
    cells,
    comma_separated,
    markdown,
    row_data,
)
from svtcli.render.charts import panels_svg, plot
from svtcli.render.sweep_chart import draw_sweep, sweep_panels


def row(score: float | None, paper: float | None = None, **settings: str) -> Row:
    values = () if score is None else (score - 0.1, score + 0.1)
    scores = {"test.bits_per_dim": OverSeeds(score, 0.14, values)} if values else {}
    return Row(
        {key.replace("_", ".", 1): value for key, value in settings.items()},
        ("a", "b"),
        scores,
        {} if paper is None else {"test.bits_per_dim": paper},
    )


def rates(*values: str, opt: str = "adam") -> list[Row]:
    return [
        row(float(n + (opt != "adam")), train_rate=value, train_opt=opt)
        for n, value in enumerate(values)
    ]


def test_the_axis_is_the_setting_with_most_numbers_and_log_over_a_decade() -> None:
    rows = [*rates("1e-3", "1e-4", "3e-4"), *rates("1e-3", "1e-4", opt="rmsprop")]
    (panel,) = sweep_panels(rows)
    assert (panel.x_name, panel.log) == ("train.rate", True)
    assert list(panel.ticks or ()) == ["1e-4", "3e-4", "1e-3"]
    first, second = panel.curves
    assert (first.x, first.y) == ((1e-4, 3e-4, 1e-3), (1.0, 2.0, 0.0))
    assert (first.label, second.label) == ("train.opt adam", "train.opt rmsprop")
    assert first.bars
    assert first.joined
    assert "lower is better; bars: standard deviation" in panel.note
    (linear,) = sweep_panels(rates("1", "2", "4"))
    assert not linear.log
    axes = plot([panel]).axes[0]
    assert axes.get_xscale() == "log"
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert 5e-5 < left < 1e-4 < 1e-3 < right < 2e-3
    assert -0.5 < low < -0.14 < 2.14 < high < 2.5
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        *("1e-4", "3e-4", "1e-3")
    ]


def test_words_are_categories_beside_the_paper_s_numbers() -> None:
    rows = [row(1.6, 1.55, variant="base"), row(1.7, variant="adam")]
    (panel,) = sweep_panels(rows)
    here, paper = panel.curves
    assert (here.label, here.x, here.joined) == ("here", (0.0, 1.0), False)
    assert (paper.label, paper.x, paper.y) == ("the paper", (0.0,), (1.55,))


def test_a_score_is_shown_by_the_settings_that_it_depends_on() -> None:
    rows = [
        replace(
            row(score, variant=variant, sample_temperature=str(temperature)),
            scores={
                "test.bits_per_dim": OverSeeds(score, None, (score,)),
                "test.fvd": OverSeeds(fvd, None, (fvd,)),
            },
        )
        for variant, score in (("small", 1.5), ("wide", 1.25))
        for temperature, fvd in ((0.9, 90.0 * score), (1, 100.0 * score))
    ]
    likelihood, fvd = sweep_panels(rows)
    assert likelihood.x_name == "variant"
    assert [each.y for each in likelihood.curves] == [(1.5, 1.25)]
    assert fvd.x_name == "sample.temperature"
    assert [each.label for each in fvd.curves] == ["variant small", "variant wide"]
    assert fvd.curves[0].aside == -fvd.curves[1].aside < 0


def test_a_row_without_the_score_is_left_out_and_one_row_is_no_chart() -> None:
    rows = [*rates("1", "2"), row(None, train_rate="3", train_opt="adam")]
    (panel,) = sweep_panels(rows)
    assert panel.curves[0].x == (1.0, 2.0)
    assert sweep_panels(rows[1:]) == sweep_panels([]) == ()


def test_png_and_svg_are_written_over_older_ones(tmp_path: Path) -> None:
    for _ in range(2):
        made = draw_sweep(rates("1", "2"), tmp_path)
    assert [path.name for path in made] == ["chart.png", "chart.svg"]
    assert made[0].read_bytes().startswith(b"\x89PNG")
    panels = sweep_panels(rates("1", "2"))
    assert made[1].read_bytes() == panels_svg(panels)


def test_tables_as_text_markdown_csv_and_json() -> None:
    rows = [
        row(1.25, train_opt="a|b"),
        Row(
            {"train.opt": "c"},
            ("a", "b"),
            {"test.bits_per_dim": OverSeeds(float("nan"), None, (float("nan"),))},
            {},
        ),
    ]
    assert cells(rows) == (
        ["train.opt", "runs", "bits/dim (test)"],
        [["a|b", "2", "1.250 ± 0.140"], ["c", "2", "nan (1 of 2)"]],
    )
    assert markdown(rows, ["note"]).splitlines() == [
        "| train.opt | runs | bits/dim (test) |",
        "| --- | --- | --- |",
        "| a\\|b | 2 | 1.250 ± 0.140 |",
        "| c | 2 | nan (1 of 2) |",
        "",
        "note",
    ]
    assert comma_separated(rows).splitlines()[:2] == [
        "train.opt,runs,test.bits_per_dim,test.bits_per_dim spread",
        "a|b,a b,1.25,0.14",
    ]
    assert row_data(rows[1])["scores"]["test.bits_per_dim"]["mean"] is None


@pytest.mark.parametrize("given", [["16", "8", "x", "1e-3"]])
def test_rows_are_sorted_as_numbers(given: list[str]) -> None:
    rows = ascending([row(1.0, model_d=value) for value in given])
    assert [each.settings["model.d"] for each in rows] == ["1e-3", "8", "16", "x"]
