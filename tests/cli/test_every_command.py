"""What holds for all commands alike: help, JSON, trying without writing."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from svtcli.cli.app import app
from svtcli.project import doctor
from svtcli.run.samples import write_samples
from tests.cli.terminal import svt_here
from tests.render.made_up import made_up_samples
from tests.video.video_files import moving_square, write_video

SMALL = ("--size", "16", "--frames", "5")
READERS = {
    "plan": "mine.yaml",
    "doctor": "",
    "runs list": "",
    "runs table": "mine",
    "runs show": "mine",
    "runs diff": "mine mine",
    "recipes list": "",
    "recipes show": "mine.yaml",
    "recipes check": "mine.yaml",
    "recipes schema": "",
    "prepare verify": "clips/mine",
}
"""Commands that write nothing, with arguments."""
WRITERS = {
    "init": "new.yaml --source clips/mine",
    "run": "mine.yaml",
    "sweep": "mine.yaml model.d=8,16",
    "train": "mine.yaml --fresh",
    "sample": "mine",
    "eval": "mine",
    "render": "clips/mine",
    "open": "mine",
    "runs copy": "mine other",
    "runs rm": "mine",
    "runs export": "mine mine.safetensors",
    "runs import": "made.safetensors other",
    "recipes copy": "quickstart",
    "prepare folder": "--size 16 --frames 5",
    "prepare moving-mnist": "--source none",
    "prepare kinetics": "--source none",
    "prepare bair": "--source none",
    "prepare robot-push": "--source none",
    "prepare arrays": "--source none",
    "prepare push": "--train 1 --val 0 --test 1 --frames 2",
}
"""Commands that write, with arguments; all of them take -n."""
KINDS = ("kinetics", "bair", "robot-push", "moving-mnist", "arrays")
NOTHING_THERE = [f"prepare {kind}" for kind in KINDS]
"""Commands that refuse, as there is no raw data for them here."""


def commands() -> dict[str, Any]:
    """Every command by its words."""
    return dict(_commands("", typer.main.get_command(app)))


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, each in getattr(command, "commands", {}).items():
        if hasattr(each, "commands"):
            yield from _commands(f"{path}{name} ", each)
        else:
            yield f"{path}{name}", each


@pytest.fixture(scope="module")
def whole_place(trained_place, tmp_path_factory) -> Path:
    """`trained_place` with all that the commands read."""
    whole = tmp_path_factory.mktemp("whole") / "place"
    shutil.copytree(trained_place, whole)
    write_video(whole / "raw/folder/a.mp4", moving_square(10))
    write_samples(whole / "runs/mine/samples/3", made_up_samples())
    return whole


@pytest.fixture
def here(whole_place, monkeypatch, capfd):
    """`svt COMMAND ARGUMENTS` in `whole_place`; what is written there is found out."""
    monkeypatch.chdir(whole_place)
    monkeypatch.setitem(doctor.SIDES, "cpu", 8)
    for name in ("SVT_RUNS", "SVT_DATA"):
        monkeypatch.delenv(name, raising=False)
    if not Path("made.safetensors").exists():
        svt_here(capfd, "runs", "export", "mine", "made.safetensors")

    def run(*words):
        before = tree(whole_place)
        said = svt_here(capfd, *words)
        assert tree(whole_place) == before
        return said

    return run


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder, with size and time of change."""
    facts = {path: path.stat() for path in sorted(folder.rglob("*"))}
    return {str(path): (f.st_size, f.st_mtime_ns) for path, f in facts.items()}


def test_the_walk_goes_through_all_commands():
    assert {*READERS, *WRITERS} == commands().keys()


@pytest.mark.parametrize("command", READERS)
def test_a_reader_prints_one_json_object_and_writes_nothing(here, command):
    said = here(*command.split(), *READERS[command].split(), "--json")
    assert said.code == 0, said.err
    assert isinstance(json.loads(said.out), dict)
    assert len(said.out.splitlines()) == 1


@pytest.mark.parametrize("command", WRITERS)
def test_a_writer_tried_with_n_prints_one_json_object_and_writes_nothing(here, command):
    assert ["-n", "--dry-run"] in [each.opts for each in commands()[command].params]
    said = here(*command.split(), *WRITERS[command].split(), "-n", "--json")
    if command in NOTHING_THERE:
        assert said.code == json.loads(said.out)["code"] == 2
        assert "Traceback" not in said.err
    else:
        assert said.code == 0, said.err
        assert json.loads(said.out)["dry_run"] is True
    assert len(said.out.splitlines()) == 1


def test_what_is_written_says_that_it_was_no_trial(place, capfd):
    told = [
        svt_here(capfd, *words.split(), "--json")
        for words in (
            "recipes copy quickstart",
            "runs export mine made.safetensors",
            "runs import made.safetensors other",
            "runs copy mine third",
        )
    ]
    assert [json.loads(said.out)["dry_run"] for said in told] == [False] * 4
    assert (place / "quickstart.yaml").is_file()
    assert (place / "runs/other/run.json").is_file()
    # A trial refuses what the deed would refuse.
    for words in (
        "recipes copy quickstart -n",
        "runs export mine made.safetensors -n",
        "runs import made.safetensors other -n",
        "runs copy mine third -n",
    ):
        said = svt_here(capfd, *words.split())
        assert said.code == 2
        assert "already exists" in said.err


@pytest.mark.parametrize("command", commands())
def test_every_help_has_an_example_that_the_command_takes(command):
    of_it = commands()[command]
    said = f"{of_it.help}\n{of_it.epilog or ''}"
    found = re.search(r"For example:\s+(svt .+)", said)
    assert found, said
    example = re.split(r"[.,] |[.,]$| >", found[1])[0]
    words = shlex.split(example)[1:]
    path = command.split()
    assert words[: len(path)] == path
    arguments = [word for word in words[len(path) :] if word != "--json"]
    of_it.make_context(command, arguments).close()
