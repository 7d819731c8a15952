"""`svt run` as a person types it."""

import json
from typing import get_args

import pytest

from svtcli.recipe.schema import STAGES, Stage
from tests.cli.terminal import svt_here
from tests.video.video_files import moving_square, write_video


def survey(capfd, *arguments: str) -> list[list[str]]:
    """stage, state and reason of each line of `svt run -n`."""
    said = svt_here(capfd, "run", "mine.yaml", "-n", *arguments)
    assert said.code == 0, said.err
    header, *lines = said.out.splitlines()
    assert header.split() == ["stage", "state", "why"]
    return [[cell.strip() for cell in line.split("  ") if cell] for line in lines]


def test_the_result_is_the_scores_and_every_path(place, capfd):
    said = svt_here(capfd, "run", "mine.yaml")
    assert said.code == 0
    table, paths = said.out.split("\n\n")
    assert "uniform  8.000" in table
    made = dict(line.split() for line in paths.splitlines())
    assert list(made) == ["clips", "run", "samples", "png"]
    for path in made.values():
        assert (place / path).exists()
    assert made["png"].endswith("/strip.png")

    again = svt_here(capfd, "run", "mine.yaml")
    assert again.out == said.out
    *lines, look, more = again.err.splitlines()
    assert look == "look at the samples: svt open mine"
    assert more.endswith(": svt sample mine --seed 1 --render")
    for line in (look, more):
        assert svt_here(capfd, *line.partition(": svt ")[2].split(), "-n").code == 0
    assert [line.partition(": ")[2] for line in lines] == [
        "these clips are already prepared",
        "already trained to step 3",
        "these samples already exist",
        "already scored",
        "these pictures already exist",
    ]


def test_json_has_the_same(place, capfd):
    data = json.loads(svt_here(capfd, "--json", "run", "mine.yaml").out)
    assert list(data) == [
        "dry_run",
        "clips",
        "run",
        "samples",
        "pictures",
        "evaluation",
        "evaluations",
    ]
    assert data["evaluations"] == [data["evaluation"]]
    assert data["evaluation"]["rows"][1]["mean"] == pytest.approx(8)


def test_a_dry_run_says_where_every_stage_stands_and_writes_nothing(place, capfd):
    before = sorted(place.rglob("*"))
    lines = survey(capfd)
    assert [line[:2] for line in lines] == [
        ["prepare", "done"],
        ["train", "done"],
        ["sample", "to do"],
        ["eval", "to do"],
        ["render", "waiting"],
    ]
    assert lines[1][2] == "runs/mine: at step 3"
    assert survey(capfd, "--run", "new")[1] == [
        "train",
        "to do",
        "runs/new: no checkpoint yet",
    ]
    assert [line[0] for line in survey(capfd, "--from", "train", "--to", "eval")] == [
        "train",
        "sample",
        "eval",
    ]
    said = svt_here(capfd, "run", "mine.yaml", "-n", "train.batch=2")
    assert said.code == 2  # as the real run
    assert [line.split()[0] for line in said.out.splitlines()] == ["stage", *STAGES]
    assert "train.batch: was 4, now 2" in said.err
    said = svt_here(capfd, "--json", "run", "mine.yaml", "-n", "train.batch=2")
    assert json.loads(said.out)["code"] == said.code == 2
    assert sorted(place.rglob("*")) == before


def test_from_and_to_choose_the_stages(place, capfd):
    said = svt_here(capfd, "run", "mine.yaml", "--from", "sample", "--to", "sample")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == ["samples"]
    assert not (place / "runs" / "mine" / "eval").exists()
    said = svt_here(capfd, "run", "mine.yaml", "--from", "render")
    assert [line.split()[0] for line in said.out.splitlines()] == ["png"]


def test_quiet_is_the_result_alone(place, capfd):
    said = svt_here(capfd, "-q", "run", "mine.yaml")
    assert (said.code, said.err) == (0, "")
    assert "uniform" in said.out


def test_the_flags_have_the_stages_of_the_chain():
    assert get_args(Stage) == STAGES


def test_broken_files_stop_a_run_unless_it_may_lose_them(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "raw/folder/a.mp4", moving_square(4))
    for name in "bc":
        (tmp_path / f"raw/folder/{name}.mp4").write_text("<html>404</html>")
    recipe = "data: {kind: folder, max_failures: 5%}"
    (tmp_path / "mine.yaml").write_text(recipe)
    prepare = ("run", "mine.yaml", "--to", "prepare")
    said = svt_here(capfd, *prepare)
    assert said.code == 3
    assert "66.7 %; at most 1 (5 %) may fail" in said.err
    assert "--max-failures, data.max_failures in a recipe" in said.err
    said = svt_here(capfd, *prepare, "--max-failures", "7O%")
    assert said.code == 2
    assert "--max-failures 7O%: not a share, such as 5% or 0.05" in said.err
    assert svt_here(capfd, *prepare, "--max-failures", "70%").code == 0
    # It decides nothing about the clips: they are found with any other.
    assert svt_here(capfd, *prepare, "data.max_failures=0").code == 0
    for wrong, shown in (("many", 'the text "many"'), ("20", "20")):
        said = svt_here(capfd, *prepare, f"data.max_failures={wrong}")
        assert said.code == 2
        assert f"should be a share, such as 5% or 0.05, not {shown}" in said.err
