"""`svt runs` as a person types it."""

import json
from pathlib import Path

import pytest

from svtcli.run.directory import RunFolder, write_run
from svtcli.run.metrics_log import MetricsLog
from tests.cli.terminal import Said, svt_here
from tests.train import tiny_run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    recipe = tiny_run.write_recipe(tmp_path, tmp_path / "clips")
    for name, batch, score in (("a", 4, 3.0), ("b", 8, 2.5)):
        run = RunFolder(tmp_path / "runs" / name)
        run.path.mkdir(parents=True)
        loaded = tiny_run.loaded(recipe, f"train.batch={batch}")
        write_run(run, loaded, devices=["cpu"], data_fingerprint="abc")
        with MetricsLog(run.metrics) as log:
            log.append(5, time=9.0, steps_per_second=1.0, bits_per_dim=score)
            log.append(5, time=9.0, validation_bits_per_dim=score + 1)
            log.append(6, time=10.0, steps_per_second=1.0, bits_per_dim=float("nan"))
        (run.checkpoints / "6").mkdir(parents=True)
    return tmp_path


def said(capfd, *arguments: str, code: int = 0) -> Said:
    result = svt_here(capfd, *arguments)
    assert result.code == code, result
    assert "Traceback" not in result.err
    return result


def test_the_list_is_a_table_with_a_line_for_what_is_broken(place, capfd) -> None:
    (place / "runs" / "half").mkdir()
    lines = said(capfd, "runs", "list").out.splitlines()
    assert lines[0].split() == [
        *("RUN", "RECIPE", "STEP", "LAST", "BEST", "AGE", "SIZE", "SETTINGS")
    ]
    assert sorted(line.split()[0] for line in lines[1:3]) == ["a", "b"]
    assert any("6/12" in line and "4.000" in line for line in lines)
    assert lines[3].startswith("half: ")
    assert "recipe.yaml is missing" in lines[3]
    data = json.loads(said(capfd, "--json", "runs", "list").out)
    scores = {run["name"]: run["best"] for run in data["runs"]}
    assert scores == {"a": 4.0, "b": 3.5, "half": None}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("--sort best", "b a"),
        ("--sort validation.bits_per_dim", "b a"),
        ("--sort train.batch", "a b"),
        ("--where train.batch=8", "b"),
        ("--where train.batch!=8", "a"),
        ("--where train.batch>4 --where train.batch<=8", "b"),
        ("--where model.blocks=[[2,2,2]] --sort name", "a b"),
        ("--where best<4", "b"),
        ("--where train.clip_norm=null --sort name", "a b"),
        ("--where train.clip_norm>0", ""),
        ("--where train.optimizer=adam", ""),
    ],
)
def test_runs_are_chosen_and_sorted(place, capfd, words: str, names: str) -> None:
    out = said(capfd, "runs", "list", *words.split()).out
    if not names:
        assert out == "no run meets these conditions\n"
    else:
        assert [line.split()[0] for line in out.splitlines()[1:]] == names.split()
    data = json.loads(said(capfd, "--json", "runs", "list", *words.split()).out)
    assert [run["name"] for run in data["runs"]] == names.split()


def test_what_runs_are_chosen_by_is_shown(place, capfd) -> None:
    lines = said(
        capfd, "runs", "list", "--where", "train.batch>1", "--sort", "best"
    ).out.splitlines()
    assert lines[0].split()[-2:] == ["train.batch", "SETTINGS"]
    assert lines[1].split()[-2:] == ["8", "train.batch=8"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("--sort tarin.batch", "did you mean train.batch?"),
        ("--sort batch", "did you mean train.batch?"),
        ("--sort fdv", "did you mean fvd?"),
        ("--sort fvd", "fvd: no run has this score"),
        ("--where model.w=3", "model.w: no run has such a key or score"),
        ("--where train.batch", "is no condition"),
        ("--where train.batch<many", "many is not a number"),
    ],
)
def test_what_no_run_has_is_refused(place, capfd, words: str, what: str) -> None:
    assert what in said(capfd, "runs", "list", *words.split(), code=2).err


def test_no_runs_are_told_with_the_command_that_makes_one(
    tmp_path, monkeypatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(capfd, "runs", "list").out == (
        "no runs in runs/ yet; start one: svt train RECIPE\n"
    )


def test_show_says_what_made_a_run_and_how_it_goes(place, capfd) -> None:
    out = said(capfd, "runs", "show", "b").out
    facts = dict(line.split(maxsplit=1) for line in out.splitlines() if line)
    assert facts["checkpoints"] == "6"
    assert facts["train.batch"] == "8"
    assert facts["validation_bits_per_dim"] == "3.5"
    assert facts["goodput"] == "100.0% of 6 s; 0 steps repeated"
    data = json.loads(said(capfd, "runs", "show", "runs/b", "--json").out)
    assert data["goodput"]["share"] == 1
    assert data["metrics"]["bits_per_dim"] is None  # NaN is no JSON
    assert data["facts"]["data_fingerprint"] == "abc"


def test_diff_sets_keys_and_scores_side_by_side(place, capfd) -> None:
    lines = [
        line.split() for line in said(capfd, "runs", "diff", "a", "b").out.split("\n")
    ]
    assert lines[0] == ["a", "b"]
    assert ["train.batch", "4", "8"] in lines
    assert ["validation_bits_per_dim", "4", "3.5"] in lines
    assert not any(line and line[0] == "train.steps" for line in lines)
    data = json.loads(said(capfd, "runs", "diff", "a", "b", "--json").out)
    assert data["recipe"] == {"train.batch": [4, 8]}
    assert [each["best_validation_bits_per_dim"] for each in data["scores"]] == [4, 3.5]


@pytest.mark.parametrize("command", [("show", "c"), ("diff", "a", "c")])
def test_a_run_that_is_not_there_is_one_line(place, capfd, command) -> None:
    assert "no run called 'c'" in said(capfd, "runs", *command, code=2).err


def test_a_broken_run_is_one_line(place, capfd) -> None:
    (place / "runs" / "a" / "recipe.yaml").write_text("model: {")
    for command in (("show", "a"), ("diff", "a", "b")):
        assert said(capfd, "runs", *command, code=2).out == ""
    (place / "runs" / "b" / "metrics.jsonl").write_text("nonsense\n")
    assert "problem     " in said(capfd, "runs", "show", "b").out
