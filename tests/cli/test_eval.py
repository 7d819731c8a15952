"""`svt eval` as a person types it."""

import json
from dataclasses import replace

from svtcli.cli.eval_tables import likelihood_by_frame
from svtcli.evaluate.results import LikelihoodResult, ModelScore, read_result
from svtcli.run.durable import read_record
from tests.cli.made_up_runs import write_recipe
from tests.cli.terminal import svt, svt_here

ROW_KEYS = ["model", "mean", "error", "per_frame", "clips"]
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
    assert uniform.endswith("bits/dim  test       4  1 to 3")
    (path,) = (place / "runs" / "mine" / "eval").iterdir()
    written = f"written to {path.relative_to(place)}\n"
    assert said.err.endswith(f"{written}sample from it: svt sample mine\n")
    assert "trained: " in said.err
    assert said.err.startswith("compiling the scorer")

    again = svt_here(capfd, "eval", "mine")
    assert again.out == said.out
    assert "already scored" in again.err
    assert "compiling" not in again.err
    assert "written to" not in again.err


def test_a_run_on_a_read_only_disk_is_scored_elsewhere(place, capfd):
    def files():
        return {path: path.stat().st_mtime_ns for path in sorted(run.rglob("*"))}

    run = place / "runs" / "mine"
    before, line = files(), ("eval", "mine", "--out", "away", "--clips", "1")
    said = svt_here(capfd, *line)
    assert said.code == 0
    (path,) = (place / "away" / "eval").iterdir()
    assert said.err.endswith(f"written to {path.relative_to(place)}\n")
    assert "already scored" in svt_here(capfd, *line).err
    planned = svt_here(capfd, *line, "--metric", "psnr", "-n")
    assert "away/eval/3-test-samples-" in planned.out
    assert files() == before
    (place / "file").touch()
    refused = svt_here(capfd, "eval", "mine", "--out", "file")
    assert (refused.code, "file: not a folder" in refused.err) == (2, True)


def test_the_keys_of_the_json_stay(place, capfd):
    said = svt_here(capfd, "--json", "eval", "mine", "--baseline", "untrained")
    data = json.loads(said.out)
    assert list(data) == ["evaluations", "comparisons", "dry_run"]
    (evaluation,) = data["evaluations"]
    assert list(evaluation) == KEYS
    assert [row["model"] for row in evaluation["rows"]] == ["trained", "untrained"]
    assert list(evaluation["rows"][0]) == ROW_KEYS
    (path,) = (place / "runs" / "mine" / "eval").iterdir()
    assert read_record(path, "") == evaluation


def test_several_checkpoints_stand_in_one_table(place, capfd):
    said = svt_here(capfd, "eval", "mine@2", "mine@3", "--clips", "1", "--prime", "3")
    rows = [line.split() for line in said.out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["mine@2", "mine@2", "mine@3", "mine@3"]
    assert said.out.splitlines()[1].endswith("1  3 to 3")
    assert rows[0][3] == "bits/dim"  # of one clip, no error
    assert rows[1][2:5] == ["8.000", "0.000", "bits/dim"]  # which is known exactly
    assert rows[0][2] != rows[2][2]


def test_splits_are_scored_each_by_itself(place, capfd):
    said = svt_here(capfd, "eval", "mine", "--split", "test", "--split", "train")
    rows = [line.split() for line in said.out.splitlines()[1:]]
    assert [row[1] for row in rows] == ["trained", "uniform"] * 2
    assert [row[5:7] for row in rows] == [["test", "4"]] * 2 + [["train", "3"]] * 2
    assert rows[0][2] != rows[2][2]
    assert len(list((place / "runs" / "mine" / "eval").iterdir())) == 2
    also = svt_here(capfd, "--json", "eval", "mine", "--data", ":train")
    (evaluation,) = json.loads(also.out)["evaluations"]
    assert evaluation["split"] == "train"
    assert "already scored" in also.err


def test_the_recipe_s_splits_are_left_where_one_is_named(place, capfd):
    recipe = place / "runs" / "mine" / "recipe.yaml"
    text = recipe.read_text()
    assert "also: []" in text
    write_recipe(recipe.parent, text.replace("also: []", "also: [train]"))

    def splits(*flags: str) -> list[str]:
        said = svt_here(capfd, "--json", "eval", "mine", "-n", *flags)
        files = json.loads(said.out)["files"]
        return [file.rpartition("/")[2].split("-")[1] for file in files]

    assert splits() == ["test", "train"]
    assert splits("--split", "train") == splits("--data", ":train") == ["train"]
    assert splits("--data", "clips/mine") == ["test", "train"]
    refused = svt_here(capfd, "eval", "mine", "--data", ":train", "--split", "test")
    assert refused.code == 2
    assert "--data :train --split test: both name a split" in refused.err


def test_the_score_of_each_frame_is_a_second_table(place, capfd):
    line = ("eval", "mine", "--split", "test", "--split", "train")
    plain = svt_here(capfd, *line)
    said = svt_here(capfd, *line, "--per-frame")
    means, frames = said.out.split("\n\n")
    assert means == plain.out.rstrip("\n")
    header, *lines = frames.splitlines()
    assert [name.strip() for name in header.split("  ") if name] == [
        "frame",
        "test trained",
        "test uniform",
        "train trained",
        "train uniform",
    ]
    cells = [line.split() for line in lines]
    assert [row[0] for row in cells] == ["1", "2", "3"]
    assert {row[2] for row in cells} == {row[4] for row in cells} == {"8.000"}
    (test, _) = json.loads(svt_here(capfd, "--json", *line).out)["evaluations"]
    assert [row[1] for row in cells] == [
        f"{value:.3f}" for value in test["rows"][0]["per_frame"]
    ]


def test_frames_that_only_some_have_scored_are_left_open(place, capfd):
    svt_here(capfd, "eval", "mine", "--prime", "3", "--clips", "1")
    (path,) = (place / "runs" / "mine" / "eval").iterdir()
    short = read_result(path, LikelihoodResult)
    long = replace(short, prime=2, rows=(ModelScore("trained", 3.0, None, (1.0, 5.0)),))
    table = likelihood_by_frame([short, replace(long, step=2)])
    header, third, fourth = table.splitlines()
    names = "frame  mine@3 trained  mine@3 uniform  mine@2 trained"
    assert header.split() == names.split()
    assert third.split() == ["2", "1.000"]
    assert fourth.split()[-1] == "5.000"
    assert len(fourth.split()) == 4


def test_tasks_of_a_job_array_say_what_is_owed(place, capfd):
    line = ("--json", "eval", "mine", "--task-count", "2", "--task-index")
    first = svt_here(capfd, *line, "1")
    (path,) = (place / "runs" / "mine" / "eval").iterdir()
    file = f"runs/mine/eval/{path.name.removeprefix('.').removesuffix('.work')}"
    assert json.loads(first.out) == {
        "evaluations": [],
        "comparisons": [],
        "dry_run": False,
        "unfinished": [{"file": file, "clips": 2, "of": 4}],
    }
    assert f"2 of 4 clips are scored so far: {file}" in first.err
    assert "written" not in first.err
    dry = svt_here(capfd, "eval", "mine", "-n", "--task-index", "0", "--task-count=2")
    assert "would score mine@3 on 2 clips (task 0 of 2) of clips/mine" in dry.out
    assert dry.out.endswith(f"{file} (2 of 4 clips are scored)\n")
    last = json.loads(svt_here(capfd, *line, "0").out)
    assert list(last) == ["evaluations", "comparisons", "dry_run"]
    assert read_record(place / file, "") == last["evaluations"][0]
    half = svt_here(capfd, "eval", "mine", "--task-index", "0")
    assert half.code == 2
    assert "--task-index and --task-count go together" in half.err


def test_a_dry_run_says_what_would_be_scored_and_writes_nothing(place, capfd):
    before = sorted(place.rglob("*"))
    said = svt_here(capfd, "eval", "mine", "-n", "--data", ":train")
    assert said.code == 0
    assert said.out.startswith(
        "would score mine@3 on 3 clips of clips/mine, split train, frames 1 to 3: "
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
