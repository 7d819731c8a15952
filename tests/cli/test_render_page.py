"""`svt render --format html` as a person types it."""

import json
from pathlib import Path

import pytest

from svtcli.cli.app import main
from svtcli.run.samples import write_samples
from tests.cli.made_up_runs import files, make_run
from tests.render.made_up import made_up_samples
from tests.written_clips import write_clips


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)


def test_a_run_becomes_a_page(capsys):
    make_run("bunny", "100")
    page = "runs/bunny/figures/100/report.html"
    assert main(["render", "bunny", "--format", "html", "-n"]) == 0
    assert capsys.readouterr().out == f"would write {page}\n"
    assert not Path("runs/bunny/figures").exists()
    assert main(["--json", "render", "bunny", "--format", "html"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [page]
    assert files("runs/bunny/figures/100") == ["figures.json", "report.html"]
    text = Path(page).read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "kind: folder" in text, "the recipe"


def test_flags_reach_the_page(capsys):
    make_run("bunny", "100")
    flags = ["--rows", "2", "--scale", "5", "--fps", "2.5", "--frames", "1,3"]
    assert main(["render", "bunny", "--format", "html", "--out", "a", *flags]) == 0
    text = Path("a/report.html").read_text(encoding="utf-8")
    assert text.count("<article") == 2
    assert 'data-scale="5"' in text
    assert 'data-fps="2.5"' in text
    assert text.count("data-frame=") == 4


def test_samples_outside_of_a_run_become_a_page_too(capsys):
    write_samples(Path("mine"), made_up_samples())
    assert main(["render", "mine", "--format", "html"]) == 0
    assert capsys.readouterr().out == "mine/figures/report.html\n"


def test_several_runs_share_a_page(capsys):
    make_run("bunny", "100")
    make_run("bikes", "100")
    words = ["render", "bunny", "bikes", "--format", "html", "--out", "both"]
    assert main(words) == 0
    text = Path("both/report.html").read_text(encoding="utf-8")
    assert text.count("<summary>Recipe") == 2


def test_clips_have_no_page(capsys):
    write_clips(Path("clips/cooking"), {"train": [9]})
    assert main(["-q", "render", "cooking", "--format", "html"]) == 2
    assert "svt: error: html: " in capsys.readouterr().err
    assert not Path("clips/cooking/figures").exists()
