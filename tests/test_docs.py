"""What README.md and docs/ show is so: commands, paths, names, pictures, recipes."""

import importlib
import re
import shlex
import shutil
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from svtcli.cli.app import app, hoist
from svtcli.recipe.load import shipped_recipes
from tests.cli.terminal import svt_here

TOP = Path(__file__).parents[1]
PAGES = {
    str(page.relative_to(TOP)): page.read_text(encoding="utf-8")
    for page in (TOP / "README.md", *sorted((TOP / "docs").rglob("*.md")))
}
NOT_HERE = 2, "no source for kinetics"
"""Of a command that wants a dataset: it says what to get, and from where."""
ENDS = {
    # README.md; tests/project/test_export_clips.py runs a shipped model
    "svt sample demo": ("-n", 2, "demo"),
    "svt run push_small": ("-n", 0, "prepare"),
    "svt run quickstart": ("-n", 2, "trained with another recipe"),
    "svt init mine.yaml --source path/to/videos": (
        *("-n --force", 2, "path/to/videos does not exist"),
    ),
    "svt open quickstart": ("-n", 0, "runs/quickstart/figures/3/report.html"),
    "svt run mine.yaml": ("-n", 0, "eval"),
    # docs/tutorial.md
    "svt sample quickstart --temp 0.9 --count 2 --per-prime 4": (
        *("-n --frames 8", 0, "4 of each"),
    ),
    "svt render quickstart --frames 4,7,10,15": (
        *("-n", 0, "runs/quickstart/figures/3/strip.png"),
    ),
    "svt render quickstart --diversity": (
        *("-n", 0, "runs/quickstart/figures/3/diversity.png"),
    ),
    "svt run mine.yaml -n": ("", 0, "sample"),
    "svt sample mine --video my.mp4 --render": (
        *("-n --frames 8", 2, "my.mp4: no such file"),
    ),
    # docs/sampling.md
    "svt sample demo --actions own,reverse": ("-n", 2, "demo"),
    "svt sample demo --video my.mp4 --prime 5": ("-n", 2, "demo"),
    "svt eval demo": ("-n", 2, "demo"),
    # docs/clips.md
    "svt prepare kinetics --subset cooking -n": ("", *NOT_HERE),
    # tests/cli/test_as_they_stand.py runs it where there is Kinetics
    "svt prepare kinetics --subset cooking": ("", *NOT_HERE),
    "svt render kinetics": ("-n", 2, "no run, samples or clips called 'kinetics'"),
    # docs/pictures.md
    "svt render": ("-n", 0, "strip.png"),
    "svt render quickstart --frames 0,5,10,15": (
        *("-n", 0, "runs/quickstart/figures/3/strip.png"),
    ),
    "svt render quickstart --each video --format mp4 --out shown": (
        *("-n", 0, "would write shown/samples-1-ground-truth.mp4"),
    ),
    "svt render quickstart --format curves": (
        *("-n", 0, "would write runs/quickstart/figures/training.png"),
    ),
    "svt render clips/quickstart": ("-n", 2, "clips/quickstart"),
    "svt run quickstart model.d=192 --run wider": (
        *("-n", 2, "trained with another recipe"),
    ),
    "svt render quickstart wider": (
        *("-n", 0, "runs/quickstart/figures/3-beside-wider-3/strip.png"),
    ),
    "svt render quickstart wider --format curves": (
        *("-n", 0, "runs/quickstart/figures/curves-beside-wider/training.png"),
    ),
    # docs/own-videos.md
    "svt prepare folder --source path/to/videos --size 48 --frames 16 -n": (
        *("", 2, "no source for folder: path/to/videos does not exist"),
    ),
    "svt recipes check mine.yaml": ("", 0, "mine.yaml: ok"),
    "svt plan mine.yaml": ("", 0, "parameters"),
    "svt run mine.yaml --to prepare": ("", 0, "clips/mine"),
    "svt render clips/mine": ("-n", 0, "clips/mine/figures/sheet.png"),
    "svt prepare arrays --source robot.npz --size 16 -n": (
        *("", 0, "clips/robot: about 1,024 clips"),
    ),
    "svt recipes check robot.yaml": ("", 0, "robot.yaml: ok"),
    "svt run robot.yaml": ("-n --run another", 0, "prepare"),
    # docs/training.md
    "svt sweep mine.yaml train.learning_rate=2e-3,4e-3,8e-3 --seeds 3 -n": (
        *("", 0, "9 runs, 9 to do"),
    ),
    "svt sweep mine.yaml train.learning_rate=2e-3,4e-3,8e-3 --seeds 3": (
        *("-n", 0, "9 runs, 9 to do"),
    ),
    "svt sample robot --actions own,zero,reverse,up.npy": (
        *("-n --frames 8 --data robots", 0, "1 of each under each of 4 sets"),
    ),
    "svt render robot --actions --scale 6": (
        *("-n", 0, "would write runs/robot/figures/3/strip.png"),
    ),
    # docs/sampling.md
    "svt sample robot --actions own,zero,reverse,swap": (
        *("-n --data robots", 0, "1 of each under each of 4 sets of actions"),
    ),
    "svt render robot --actions --scale 8": (
        *("-n", 0, "would write runs/robot/figures/3/strip.png"),
    ),
    "svt train mine.yaml train.schedule=wsd train.steps=33000 train.cooldown=3000": (
        *("-n", 0, "0 to 33,000"),
    ),
    "svt runs copy mine@30000 mine-30000": ("", 2, "no checkpoint of step 30000"),
    "svt train mine.yaml --run mine-30000 train.schedule=wsd train.steps=33000 "
    "train.cooldown=3000": ("-n", 0, "untrained/mine-30000"),
    # docs/sampling.md; tests/project/test_export_clips.py runs a shipped model
    "svt sample mine --video a.mp4 --video b.gif --prime 5": (
        *("-n --frames 8", 2, "a.mp4: no such file"),
    ),
    # docs/scale.md
    "svt sweep bair_ablations --task-index 3 --task-count 13": (
        *("-n", 2, "no source for bair"),
    ),
    "svt train kinetics_large --coordinator 10.0.0.1:8476 --processes 16 --process 0": (
        *("-n", 2, "clips/kinetics"),
    ),
    "svt train kinetics_large --coordinator 10.0.0.1:8476 --processes 16 --process 1": (
        *("-n", 2, "clips/kinetics"),
    ),
    "svt train kinetics_large --cluster": ("-n", 2, "clips/kinetics"),
    "svt sample kinetics_large --per-prime 16 --task-index 3 --task-count 16": (
        *("-n", 0, "16 of each"),
    ),
    "svt eval kinetics_large --task-index 3 --task-count 16": ("-n", 0, "clips"),
    # docs/evaluation.md; the samples of the small model are too short for FVD
    "svt eval bair_large": ("-n", 0, "would score bair_large@3"),
    "svt eval bair_large --metric bits,fvd,fvd-avg": ("-n", 2, "FVD's window has 16"),
    "svt eval bair_large --metric fvd,fvd-avg": ("-n", 2, "FVD's window has 16"),
    "svt eval bair_large kinetics_large --table": ("-n", 0, "would score bair_large@3"),
    "svt eval samples.npy --reference clips.npy --metric fvd,kvd,ssim --prime 1": (
        *("-n", 0, "would measure fvd, kvd, ssim of 2 samples of samples.npy"),
    ),
    "svt eval clips.npy --metric fvd,fvd-avg --save-stats clips_256x30_16_tf1.npz": (
        *("-n", 0, "would save statistics of 2 clips of clips.npy, 1 window"),
    ),
    "svt eval samples.npy --reference clips_256x30_16_tf1.npz --metric fvd,fvd-avg": (
        *("-n", 2, "clips_256x30_16_tf1.npz: no such file"),
    ),
    "svt eval samples.npy --reference clips.npy --metric fvd,ssim --prime 1 "
    "--card card.json": ("-n", 0, "would measure fvd, ssim of 2 samples"),
    "svt eval --check card.json": ("", 2, "card.json: no such file"),
    "svt eval floats.npy --layout NCTHW --range -1..1 --reference clips.npy "
    "--metric fvd": ("-n", 0, "would measure fvd of 2 samples of floats.npy"),
    "svt eval --features made-vjepa.npy --reference-features real-vjepa.npy "
    "--metric fvd,jedi": ("-n", 2, "made-vjepa.npy: No such file"),
    "svt sample bair_large --count 256 --per-prime 20 --task-index 3 --task-count 64": (
        *("-n", 0, "20 of each"),
    ),
}
"""How each command that is shown ends where clips, a recipe, a run and its samples are:
what is added to it, its exit code, and some of what it says."""
OF_A_TEAM = re.compile(r" --(coordinator \S+|processes \d+|process \d+|cluster)")
"""Flags that wait for other machines. Here a command is run without them;
tests/train/test_distributed.py runs some with them."""


def shown_commands() -> list[str]:
    """Every svt command in a block of shell, as it is shown."""
    found = []
    for text in PAGES.values():
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                plain = line.replace("$SLURM_ARRAY_TASK_ID", "3")
                words = shlex.split(plain, comments=True)
                if "svt" in words:
                    found.append(shlex.join(words[words.index("svt") :]))
    return list(dict.fromkeys(found))


def said_commands() -> list[str]:
    """Every svt command within a line that could be typed: no placeholder, no gap."""
    spans = [
        span for text in PAGES.values() for span in re.findall(r"`(svt [^`\n]*)`", text)
    ]
    return [span for span in dict.fromkeys(spans) if not re.search(r"[A-Z…\\$]", span)]


def parse(command: str) -> None:
    """Raise what Click raises at a command or a flag that is not there."""
    _, words = hoist(shlex.split(command.partition(" > ")[0])[1:])
    leaf = typer.main.get_command(app)
    while words and hasattr(leaf, "commands"):
        name, *words = words
        leaf = leaf.commands[name]
    if words:
        leaf.make_context("svt", list(words))


@pytest.fixture(scope="module")
def lived_in(trained_place, trained_with_actions, tmp_path_factory) -> Path:
    """`trained_place` under the names that the pages use, and samples of 16 frames."""
    from svtcli.run.samples import write_samples
    from tests.render.made_up import made_up_actions, made_up_samples

    place = tmp_path_factory.mktemp("docs") / "place"
    shutil.copytree(trained_place, place)
    shutil.copytree(place / "runs/mine", place / "runs/kinetics_large")
    write_samples(place / "runs/mine/samples/3", made_up_samples(frames=16))
    shutil.copytree(trained_with_actions / "clips/mine", place / "robots")
    shutil.copytree(trained_with_actions / "runs/mine", place / "runs/robot")
    write_samples(place / "runs/robot/samples/3", made_up_actions())
    for name in ("samples", "clips"):
        np.save(place / f"{name}.npy", np.zeros((2, 16, 12, 12, 3), np.uint8))
    np.save(place / "floats.npy", np.zeros((2, 3, 16, 12, 12), np.float32))
    # As the page shows them, up to the first command of svt.
    for block in re.findall(
        r"^```sh\n(.*?)^svt", PAGES["docs/own-videos.md"], re.M | re.S
    ):
        subprocess.run(["bash", "-c", block], cwd=place, check=True)
    for name in ("quickstart", "wider", "bair_large"):
        shutil.copytree(place / "runs/mine", place / "runs" / name)
    return place


@pytest.fixture
def here(lived_in, monkeypatch, capfd):
    monkeypatch.chdir(lived_in)
    for name in ("SVT_RUNS", "SVT_DATA", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return partial(svt_here, capfd)


def test_every_command_that_is_shown_is_run_and_no_other():
    assert set(shown_commands()) == set(ENDS)


@pytest.mark.parametrize("command", ENDS)
def test_a_shown_command_ends_as_it_should(here, command, monkeypatch):
    added, code, sentence = ENDS[command]
    if command.startswith("svt train"):
        monkeypatch.setenv("SVT_RUNS", "untrained")
    alone = OF_A_TEAM.sub("", command)
    said = here(*shlex.split(alone)[1:], *added.split())
    assert said.code == code, said.err
    assert sentence in (said.out if code == 0 else said.err)


@pytest.mark.parametrize("command", ENDS)
def test_a_shown_command_parses(command):
    parse(command)


@pytest.mark.parametrize("command", said_commands())
def test_a_command_that_is_spoken_of_parses_but_for_what_is_left_open(command):
    try:
        parse(command)
    except Exception as error:
        assert type(error).__name__ == "MissingParameter", error  # noqa: PT017


@pytest.mark.parametrize(
    "command",
    ["svt rendr", "svt render --frame 3", "svt prepare kineti", "svt eval --quite"],
)
def test_a_command_that_is_not_there_does_not_parse(command):
    with pytest.raises(Exception, match=r"."):  # KeyError, or one of Click's
        parse(command)


def anchors(page: Path) -> list[str]:
    """Names of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in titles]


def test_pictures_and_links_lead_somewhere_and_pictures_are_small():
    for page, text in PAGES.items():
        for target, title in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
            if "://" in target:
                continue
            path = (TOP / page).parent / target if target else TOP / page
            assert path.exists(), f"{page}: {target}"
            if title:
                assert title in anchors(path), f"{page}: {target}#{title}"
            if path.suffix == ".png":
                assert path.stat().st_size < 300_000, target
                with Image.open(path) as picture:
                    picture.verify()


def test_the_table_of_recipes_has_each_recipe_once():
    section = (
        PAGES["docs/recipes.md"]
        .partition("\n## Shipped recipes\n")[2]
        .partition("\n## ")[0]
    )
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(shipped_recipes())


def paper_rows() -> list[list[str]]:
    lines = PAGES["docs/paper.md"].splitlines()
    rows = [line for line in lines if line.startswith("| ")][2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


@pytest.mark.parametrize("row", paper_rows(), ids=lambda row: row[1][:40])
def test_a_row_of_the_paper_s_table_names_code_and_tests_that_are_there(row):
    _, _, code, tests = row
    spans = re.findall(r"`([^`]+)`", code)
    assert spans or "steps of" in code
    for span in spans:
        if span.startswith(("svt ", "--")):
            continue
        path, _, names = span.partition(": ")
        if not path.endswith(".py"):
            assert (TOP / path).is_file(), path
            continue
        assert (TOP / "svtcli" / path).is_file(), path
        module = importlib.import_module(f"svtcli.{path[:-3].replace('/', '.')}")
        for name in filter(None, names.split(", ")):
            found = module
            for part in name.split("."):
                assert hasattr(found, part), f"{path}: {name}"
                found = getattr(found, part)
    files = [span for span in re.findall(r"`([^`]+)`", tests) if "/" in span]
    assert files, tests
    for file in files:
        assert (TOP / file).is_file(), file
