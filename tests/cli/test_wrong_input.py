"""Wrong inputs: each is answered by one clear line and a code, and leaves nothing.

The commands run in this process, where jax is loaded once for all of them.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from svtcli.cli import console
from svtcli.cli.app import main
from tests.cli.made_up_runs import write_recipe
from tests.trained_place import RUN, noise, write_clips

PYTHON = re.compile(r"\bNone\b|\bTrue\b|\bFalse\b|[a-z]Error\b|Errno|PosixPath|<class ")
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
    Wrong("split", "train mine.yaml eval.split=tset", "should be train or test"),
    Wrong("regular expression", "train mine.yaml data.match='['", "not a regular exp"),
    Wrong("no clips", "train mine.yaml", "clips/mine: no prepared clips", "svt run"),
    Wrong("too many steps", "train mine.yaml --steps 9", "the recipe has 4 steps"),
    Wrong("run name", "train mine.yaml --run a/b", "'a/b' cannot name a run"),
    Wrong("flag's type", "train mine.yaml --steps x", "Invalid value for '--steps'"),
    Wrong("flag", "train mine.yaml --stepps 3", "No such option: --stepps"),
    Wrong("command", "trian mine.yaml", "No such command", "svt --help"),
    Wrong("source missing", "prepare folder --source gone", "gone"),
    Wrong("name too long", f"init {'n' * 256}.yaml --source .", "too long", "shorter"),
    Wrong("name too long", f"sample {'n' * 256}", "too long", "shorter"),
    Wrong("nothing to prepare", "prepare folder --source empty", "empty"),
    Wrong("not a video", "prepare folder --source texts", "not a video", code=65),
    Wrong("clips missing", "prepare verify gone", "gone"),
    Wrong("nothing to render", "render", "no finished samples"),
    Wrong("samples missing", "render gone", "gone"),
    Wrong("not samples", "render videos", "videos"),
    Wrong("would overwrite", "recipes copy mine.yaml mine.yaml", "already exists"),
    Wrong("check", "recipes check mine.yaml train.x=1", "train.x: unknown", code=3),
]

# The same for what is done with a trained run; `wrong_runs` makes what they name.
WRONG_RUNS = [
    Wrong("run", "sample mime", "no run called 'mime'", "did you mean mine?"),
    Wrong("run to score", "eval mine mime", "no run called 'mime'", "mean mine?"),
    Wrong("step", "sample mine@7", "runs/mine: no checkpoint of step 7", "are: 2, 3"),
    Wrong("no step", "eval mine@last", "must be a number, not 'last'"),
    Wrong("checkpoint", "sample runs/mine/checkpoints/7", "no checkpoint of step 7"),
    Wrong("not a run", "sample clips", "clips: not a run folder"),
    Wrong("not trained", "sample begun", "begun: no checkpoint here yet", "svt train"),
    Wrong("all prime", "sample mine --prime 4", "none is left to predict"),
    Wrong("all prime", "eval mine --prime 4", "none is left to predict"),
    Wrong("window", "sample mine --frames 3", "shorter than the model's window of 4"),
    Wrong("window", "eval mine --frames 3", "shorter than the model's window of 4"),
    Wrong("too long", "sample mine --frames 9", "no clip of split test has 9 frames"),
    Wrong("too long", "eval mine --frames 9", "longest has 8)", "ask for fewer"),
    Wrong("short clips", "sample mine --data short", "short: no clip of split test"),
    Wrong(
        "size",
        "sample mine --data large",
        "large: clips do not fit the model",
        "--size",
    ),
    Wrong("size", "eval mine --data large", "model.video wants 4 by 4"),
    Wrong("split", "eval mine --data :tset", "no split 'tset'; it has train, test"),
    Wrong("split", "sample mine --data clips/mine:val", "no split 'val'"),
    Wrong("no clips", "sample mine --data gone", "gone: no such folder", "svt prepare"),
    Wrong("no clips", "eval mine --data runs", "runs: no prepared clips here"),
    Wrong("temperature", "sample mine --temp inf", "--temp inf: must be finite"),
    Wrong("count", "sample mine --count 0", "--count 0: must be greater than 0"),
    Wrong("baseline", "eval mine --baseline perfect", "Invalid value for '--baseline'"),
    Wrong(
        "out",
        "sample mine --out full",
        "full: already exists, with something other",
        "--o",
    ),
    Wrong("out", "sample mine --out mine.yaml", "mine.yaml: already exists"),
    Wrong("model", "sample other", "checkpoint of another model", "use the recipe"),
    Wrong("model", "eval other", "runs/other/checkpoints/3: checkpoint of another"),
    Wrong("flipped", "sample broken", "damaged checkpoint", "other steps here: 2", 74),
    Wrong("flipped", "eval broken", "runs/broken/checkpoints/3: damaged", code=74),
    Wrong("unsealed", "sample unsealed@3", "commit.json is missing", code=74),
    Wrong("order", "run mine.yaml --from render --to train", "train comes before"),
    Wrong("stage", "run mine.yaml --from smaple", "Invalid value for '--from'"),
    Wrong("no samples", "run mine.yaml --from render", "no samples to draw yet"),
    Wrong("no training", "run mine.yaml --run new --from eval", "not trained yet"),
    Wrong(
        "clips",
        "run mine.yaml data.size=8 model.video=[4,8,8]",
        "clips prepared with other settings",
    ),
    Wrong("recipe", "run mine.yaml model.d=16", "model.d: was 8, now 16", "--run NAME"),
]


@pytest.fixture
def wrong_runs(place):
    """The trained run, and beside it runs and clips with something wrong."""
    for name in ("other", "broken", "unsealed"):
        shutil.copytree(place / RUN, place / "runs" / name)
    (place / "runs" / "begun").mkdir()
    for name in ("other", "begun"):
        recipe = (place / RUN / "recipe.yaml").read_text()
        assert "  d: 8\n" in recipe
        wider = recipe.replace("  d: 8\n", "  d: 12\n")
        write_recipe(place / "runs" / name, wider)
    flip_a_byte(place / "runs" / "broken" / "checkpoints" / "3" / "params")
    (place / "runs" / "unsealed" / "checkpoints" / "3" / "commit.json").unlink()
    write_clips(place / "large", {"test": noise((6,), seed=1, side=8)})
    write_clips(place / "short", {"test": noise((3, 2), seed=1)})
    (place / "full").mkdir()
    (place / "full" / "letter.txt").write_text("dear")
    return place


def flip_a_byte(folder: Path) -> None:
    """In the middle of the largest file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


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
    answer_in_words(workplace, capfd, wrong)


@pytest.mark.parametrize("wrong", WRONG_RUNS, ids=lambda wrong: wrong.line)
def test_what_is_wrong_with_a_run_is_one_clear_line(wrong_runs, capfd, wrong):
    assert len(answer_in_words(wrong_runs, capfd, wrong)) <= 1


def answer_in_words(workplace: Path, capfd, wrong: Wrong) -> list[str]:
    """Run it: one line, a hint, the code; and everything is as it was.

    What follows the line on stderr: a hint, or where in a recipe the problem is.
    """
    before = contents(workplace)
    capfd.readouterr()
    code = main(["-q", "--json", *wrong.line.split()])
    said = capfd.readouterr()
    first, *rest = said.err.splitlines()
    assert first.startswith("svt: error: ")
    assert wrong.sentence in first
    assert wrong.hint in "".join(line for line in rest if line.startswith("hint: "))
    assert "Traceback" not in said.err
    assert not PYTHON.search(said.err)
    told = json.loads(said.out)
    assert told.get("code", code) == code == wrong.code
    if "message" in told:  # a check tells its findings instead
        assert list(told) == ["kind", "message", "hint", "code"]
        assert said.err.startswith(f"svt: error: {told['message']}\n")
        assert (told["hint"] or "") in said.err
    assert contents(workplace) == before
    return rest
