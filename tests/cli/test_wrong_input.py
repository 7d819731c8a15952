"""Wrong inputs: each is answered by one clear line and a code, and leaves nothing.

The commands run in this process, where jax is loaded once for all of them.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from svtcli.cli import console
from svtcli.cli.app import main

RECIPE = """\
about: small
data: {kind: folder, source: videos, size: 16, frames: 8}
model:
  video: [4, 16, 16]
  s: [4, 2, 2]
  blocks: [[1, 4, 4]]
  d: 16
  de: 8
  na: 2
  da: 8
train: {steps: 4, batch: 2}
"""


@dataclass(frozen=True)
class Wrong:
    """A command line, what is said about it, and how it ends."""

    name: str
    line: str
    sentence: str
    hint: str = ""
    code: int = 2


WRONG = [
    Wrong("recipe missing", "train nowhere.yaml", "nowhere.yaml: no such file"),
    Wrong("name misspelt", "train mine.yml", "mine.yml: no such", "mine.yaml"),
    Wrong("recipe is a folder", "train videos/", "videos/: a folder, not a recipe"),
    Wrong("recipe is here", "train .", ".: a folder, not a recipe"),
    Wrong("recipe is a video", "train noise.yaml", "noise.yaml: not UTF-8 text"),
    Wrong("recipe is no yaml", "train open.yaml", "open.yaml:1:9: not valid YAML"),
    Wrong("unknown key", "train mine.yaml train.stepz=3", "train.stepz: unknown key"),
    Wrong("key without section", "train mine.yaml steps=3", "did you mean train.steps"),
    Wrong("wrong type", "train mine.yaml train.steps=many", "should be a whole number"),
    Wrong("number in quotes", "train mine.yaml train.steps='3'", 'not the text "3"'),
    Wrong("negative", "train mine.yaml train.steps=-3", "should be greater than 0"),
    Wrong("no override", "train mine.yaml fast", "an override is section.key=value"),
    Wrong("all prime", "train mine.yaml train.prime=4", "less than the model's 4"),
    Wrong("block", "train mine.yaml model.blocks=[[1,3,3]]", "[1, 3, 3] does not div"),
    Wrong("subscale", "train mine.yaml model.s=[3,2,2]", "3 does not divide the video"),
    Wrong("size", "train mine.yaml data.size=32", "data.size is 32"),
    Wrong("short clips", "train mine.yaml data.frames=3", "clips of 3"),
    Wrong("split", "train mine.yaml eval.split=tset", "train, val or test"),
    Wrong("regular expression", "train mine.yaml data.match='['", "not a regular exp"),
    Wrong("no clips", "train mine.yaml", "clips/mine: no prepared clips", "svt run"),
    Wrong("too many steps", "train mine.yaml --steps 9", "the recipe has 4 steps"),
    Wrong("run name", "train mine.yaml --run a/b", "'a/b' cannot name a run"),
    Wrong("flag's type", "train mine.yaml --steps x", "Invalid value for '--steps'"),
    Wrong("flag", "train mine.yaml --stepps 3", "No such option: --stepps"),
    Wrong("command", "trian mine.yaml", "No such command", "svt --help"),
    Wrong("source missing", "prepare folder --source gone", "gone"),
    Wrong("nothing to prepare", "prepare folder --source empty", "empty"),
    Wrong("not a video", "prepare folder --source texts", "not a video", code=65),
    Wrong("clips missing", "prepare verify gone", "gone"),
    Wrong("nothing to render", "render", "no finished samples"),
    Wrong("samples missing", "render gone", "gone"),
    Wrong("not samples", "render videos", "videos"),
    Wrong("would overwrite", "recipes copy mine.yaml mine.yaml", "is there already"),
    Wrong("check", "recipes check mine.yaml train.x=1", "train.x: unknown", code=3),
]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with a right recipe and some wrong things, as working directory."""
    (tmp_path / "mine.yaml").write_text(RECIPE)
    (tmp_path / "open.yaml").write_text("data: [1")
    (tmp_path / "noise.yaml").write_bytes(b"\x00\x00\x00\x18ftypmp42\xff\xfe")
    for folder in ("videos", "empty", "texts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "texts" / "note.mp4").write_text("this is not a video")
    monkeypatch.chdir(tmp_path)
    for name in ("SVT_RUNS", "SVT_DATA"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    console.configure(console.Settings())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_input_is_one_clear_line_and_a_code(workplace, capfd, wrong):
    before = contents(workplace)
    code = main(["-q", *wrong.line.split()])
    said = capfd.readouterr()
    first, *rest = said.err.splitlines()
    assert first.startswith("svt: error: ")
    assert wrong.sentence in first
    assert wrong.hint in "".join(line for line in rest if line.startswith("hint: "))
    assert "Traceback" not in said.err
    assert (code, said.out) == (wrong.code, "")
    assert contents(workplace) == before
