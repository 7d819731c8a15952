"""What is told of runs, whole ones and broken ones."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from svtcli.project.runs import details, differences, list_runs, overview
from svtcli.run.directory import RunFolder, write_run
from svtcli.run.metrics_log import MetricsLog, goodput
from tests.train import tiny_run

Make = Callable[..., RunFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    recipe = tiny_run.write_recipe(tmp_path, tmp_path / "clips")

    def make(name: str, *overrides: str, scores: tuple[float, ...] = ()) -> RunFolder:
        run = RunFolder(tmp_path / "runs" / name)
        run.path.mkdir(parents=True)
        loaded = tiny_run.loaded(recipe, *overrides)
        write_run(run, loaded, devices=["cpu"], data_fingerprint="abc")
        with MetricsLog(run.metrics) as log:
            for step, score in enumerate(scores, 1):
                log.append(step, bits_per_dim=score, validation_bits_per_dim=score + 1)
        (run.checkpoints / "5").mkdir(parents=True)
        return run

    return make


def test_a_run_is_told_in_a_line(make: Make) -> None:
    line = overview(make("one", scores=(3.0, 2.0, math.nan, 2.5)))
    assert (line.name, line.step, line.steps, line.problem) == ("one", 5, 12, None)
    assert (line.score_name, line.last, line.best) == ("bits_per_dim", 3.5, 3.0)
    assert line.recipe is not None
    assert line.recipe.startswith("tiny ")
    assert line.size > 500


def test_a_run_without_validation_has_no_score(make: Make) -> None:
    line = overview(make("one"))
    assert (line.last, line.best, line.problem) == (None, None, None)


def _without(name: str) -> Callable[[RunFolder], object]:
    return lambda run: (run.path / name).unlink()


def _filled(name: str, content: bytes) -> Callable[[RunFolder], object]:
    return lambda run: (run.path / name).write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_without("recipe.yaml"), "recipe.yaml is missing"),
        (_without("run.json"), "run.json is missing"),
        (_filled("recipe.yaml", b"\xff\xfe\x00"), ""),
        (_filled("recipe.yaml", b"model: {"), ""),
        (_filled("run.json", b"[]"), "run.json: damaged"),
        (_filled("run.json", b"{"), "run.json: damaged"),
        (_filled("metrics.jsonl", b"nonsense\n"), "not a row of metrics"),
    ],
)
def test_a_broken_run_gets_a_line_and_hides_no_other(
    make: Make, tmp_path: Path, harm, why
) -> None:
    make("good", scores=(2.0,))
    harm(make("bad"))
    lines = {line.name: line for line, _ in list_runs(tmp_path / "runs")}
    assert lines["good"].problem is None
    assert lines["bad"].problem
    assert why in lines["bad"].problem
    assert "\n" not in lines["bad"].problem


def test_no_runs_are_an_empty_list(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == []


def test_details_say_what_is_special(make: Make) -> None:
    found = details(make("one", "train.clip_norm=2.0", scores=(3.0,)))
    assert found.settings["train.clip_norm"] == 2.0
    assert "train.momentum" not in found.settings  # at its default
    assert found.settings["data.size"] == 4
    assert found.metrics["bits_per_dim"] == 3.0
    assert found.checkpoints == (5,)


def test_a_half_made_run_is_told_as_far_as_it_goes(make: Make) -> None:
    run = make("one")
    run.run_file.unlink()
    found = details(run)
    assert found.facts is None
    assert found.settings["train.batch"] == 4


def test_runs_differ_in_what_their_recipes_say(make: Make) -> None:
    a, b = make("a"), make("b", "train.batch=8", "train.clip_norm=1.0")
    assert differences(a, b) == {
        "train.batch": (4, 8),
        "train.clip_norm": (None, 1.0),
    }
    assert differences(a, a) == {}


def row(step: int, time: float, rate: float = 0.5) -> dict[str, float]:
    return {"step": step, "time": time, "steps_per_second": rate}


def test_goodput_of_a_run_that_never_stopped_is_all_of_it() -> None:
    found = goodput([row(5, 110), row(10, 120), row(15, 130)])
    assert found is not None
    assert (found.wall, found.productive, found.replayed) == (30, 30, 0)
    assert found.share == 1


def test_what_is_taken_again_and_what_stands_still_is_no_goodput() -> None:
    rows = [row(5, 110), row(10, 120), row(10, 170), row(15, 180), row(20, 190)]
    found = goodput(rows)
    assert found is not None
    assert (found.wall, found.productive) == (90, 40)
    assert found.replayed >= 1


def test_a_log_without_times_has_no_goodput() -> None:
    assert goodput([{"step": 1, "loss": 2.0}]) is None
