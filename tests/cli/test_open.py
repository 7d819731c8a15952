"""`svt open`: the report page, drawn where it is missing, in a browser where one is."""

import json
import webbrowser
from pathlib import Path

import pytest

from svtcli.cli.app import main
from tests.cli.made_up_runs import make_run
from tests.written_clips import write_clips

PAGE = Path("runs/bunny/figures/100/report.html")
SHELL = (
    *("BROWSER", "SSH_CONNECTION", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY", "SVT_RUNS"),
)


@pytest.fixture(autouse=True)
def opened(tmp_path, monkeypatch):
    """Addresses that the browser was given."""
    monkeypatch.chdir(tmp_path)
    for name in SHELL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    addresses = []
    monkeypatch.setattr(webbrowser, "open", lambda it: not addresses.append(it))
    return addresses


@pytest.mark.parametrize("source", [[], ["bunny"], ["runs/bunny/samples/100"]])
def test_a_missing_page_is_drawn_and_opened(capsys, opened, source):
    make_run("bunny", "100")
    assert main(["open", *source]) == 0
    assert capsys.readouterr().out == f"{PAGE}\n"
    assert opened == [PAGE.resolve().as_uri()]
    drawn = PAGE.stat().st_mtime_ns
    assert main(["open", *source]) == 0
    assert PAGE.stat().st_mtime_ns == drawn
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"DISPLAY": ""}, "there is no display here"),
        ({"SSH_CONNECTION": "1"}, "this shell runs over SSH"),
        ({"SSH_TTY": "/dev/pts/1", "DISPLAY": ""}, "this shell runs over SSH"),
    ],
)
def test_without_a_browser_the_path_is_all(capsys, monkeypatch, opened, variables, why):
    make_run("bunny", "100")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", "linux")
    assert main(["--json", "open", "bunny"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["page"] == str(PAGE)
    assert json.loads(said.out)["opened"] is False
    assert f"no browser: {why}" in said.err
    assert opened == []
    monkeypatch.setenv("BROWSER", "firefox")
    assert main(["open"]) == 0
    assert len(opened) == 1, "the user's own choice"


def test_a_browser_that_does_not_start_is_said(capsys, monkeypatch):
    make_run("bunny", "100")
    monkeypatch.setattr(webbrowser, "open", lambda it: False)
    assert main(["open"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{PAGE}\n"
    assert "no browser: none could be started" in said.err


def test_a_dry_run_draws_and_opens_nothing(capsys, opened):
    make_run("bunny", "100")
    assert main(["open", "-n"]) == 0
    assert capsys.readouterr().out == f"would draw and open {PAGE}\n"
    assert not PAGE.exists()
    assert opened == []


def test_what_is_no_samples_is_refused(capsys, opened):
    write_clips(Path("a b"), {"train": [4]})
    for source, words in (("a b", "svt render 'a b'"), ("bunny", "no run, samples")):
        assert main(["open", source]) == 2
        assert words in capsys.readouterr().err
    assert opened == []
