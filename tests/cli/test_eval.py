"""`svt eval` as a person types it."""

import json
from typing import get_args

from svtcli.cli.evaluate import Baseline
from svtcli.recipe.schema import Eval
from tests.cli.terminal import svt, svt_here

KEYS = [
    "run",
    "step",
    "unit",
    "dataset",
    "split",
    "clips",
    "prime",
    "frames",
    "overlap",
    "rows",
    "lower_bound",
    "fingerprint",
    "precision",
]


def test_the_result_is_a_table(place, capfd):
    said = svt_here(capfd, "eval", "mine")
    assert said.code == 0
    header, trained, uniform = said.out.splitlines()
    assert header.split("  ")[0] == "run"
    assert header.endswith("scored frames")
    assert trained.split()[:2] == ["mine@3", "trained"]
    assert uniform.split()[:4] == ["mine@3", "uniform", "8.000", "0.000"]
    assert uniform.endswith("bits/dim  test       4  2 to 4")
    (path,) = (place / "runs" / "mine" / "eval").iterdir()
    assert said.err.endswith(f"written to {path.relative_to(place)}\n")
    assert "trained: " in said.err

    again = svt_here(capfd, "eval", "mine")
    assert again.out == said.out
    assert "scored already" in again.err


def test_the_keys_of_the_json_stay(place, capfd):
    said = svt_here(capfd, "--json", "eval", "mine", "--baseline", "untrained")
    data = json.loads(said.out)
    assert list(data) == ["evaluations", "dry_run"]
    (evaluation,) = data["evaluations"]
    assert list(evaluation) == KEYS
    assert [row["model"] for row in evaluation["rows"]] == ["trained", "untrained"]
    assert list(evaluation["rows"][0]) == ["model", "mean", "error", "per_frame"]
    (path,) = (place / "runs" / "mine" / "eval").iterdir()
    assert json.loads(path.read_text()) == evaluation


def test_several_checkpoints_stand_in_one_table(place, capfd):
    said = svt_here(capfd, "eval", "mine@2", "mine@3", "--clips", "1", "--prime", "3")
    rows = [line.split() for line in said.out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["mine@2", "mine@2", "mine@3", "mine@3"]
    assert said.out.splitlines()[1].endswith("1  4 to 4")
    assert rows[1][2:5] == ["8.000", "bits/dim", "test"]  # of one clip, no error
    assert rows[0][2] != rows[2][2]


def test_a_dry_run_says_what_would_be_scored_and_writes_nothing(place, capfd):
    before = sorted(place.rglob("*"))
    said = svt_here(capfd, "eval", "mine", "-n", "--data", ":train")
    assert said.code == 0
    assert said.out.startswith(
        "would score mine@3 on 3 clips of clips/mine, split train, frames 2 to 4: "
        "runs/mine/eval/3-train-prime1-"
    )
    assert sorted(place.rglob("*")) == before
    svt_here(capfd, "eval", "mine")
    assert svt_here(capfd, "eval", "mine", "-n").out.endswith(".json (done)\n")


def test_quiet_is_the_table_alone(place, capfd):
    said = svt_here(capfd, "-q", "eval", "mine")
    assert (said.code, said.err) == (0, "")
    assert len(said.out.splitlines()) == 3


def test_the_same_in_a_process_of_its_own(place):
    said = svt("eval", "mine", "-q", cwd=place)
    assert (said.code, said.err) == (0, "")
    assert "uniform  8.000" in said.out


def test_the_flag_has_the_recipe_s_baselines():
    (choices,) = get_args(Eval.__annotations__["baselines"])[:1]
    assert {each.value for each in Baseline} == set(get_args(choices))


def test_a_shorter_precision_is_another_score_and_says_so(place, capfd):
    line = ("eval", "mine", "--clips", "2")
    said = svt_here(capfd, *line, "--precision", "bfloat16")
    assert said.code == 0
    assert "mine@3  trained (bfloat16)  " in said.out
    assert "mine@3  uniform (bfloat16)  8.000" in said.out
    wholes = json.loads(svt_here(capfd, "--json", *line).out)["evaluations"]
    shorts = json.loads(
        svt_here(capfd, "--json", *line, "--precision", "bfloat16").out
    )["evaluations"]
    assert (wholes[0]["precision"], shorts[0]["precision"]) == ("float32", "bfloat16")
    whole, short = (each[0]["rows"][0]["mean"] for each in (wholes, shorts))
    assert 0 < abs(whole - short) < 0.01 * whole
    assert svt_here(capfd, *line, "--precision", "half").code == 2
