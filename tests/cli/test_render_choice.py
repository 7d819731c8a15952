"""Which frames, samples, runs and files `svt render` is asked for."""

import json
from pathlib import Path

import pytest
from PIL import Image

from svtcli.cli.app import main
from svtcli.run.metrics_log import MetricsLog
from svtcli.run.samples import write_samples
from tests.cli.made_up_runs import RECIPE, files, make_run, write_recipe
from tests.render.made_up import made_up_samples
from tests.written_clips import write_clips


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)


def test_several_runs_are_drawn_side_by_side(capsys):
    make_run("bunny", "100", "200")
    make_run("bikes", "300")
    assert main(["--json", "render", "bunny", "bikes"]) == 0
    out = "runs/bunny/figures/200-beside-bikes-300"
    assert json.loads(capsys.readouterr().out) == {
        "samples": "runs/bunny/samples/200",
        "beside": ["runs/bikes/samples/300"],
        "files": [f"{out}/strip.png"],
        "dry_run": False,
    }
    assert main(["-q", "render", "bunny", "bikes", "--out", "shown"]) == 0
    with Image.open("shown/strip.png") as two, Image.open(f"{out}/strip.png") as same:
        assert two.tobytes() == same.tobytes()


def test_flags_choose_frames_samples_and_files():
    make_run("bunny", "100")
    shown = {}
    for flags in ([], ["--frames", "0,6"], ["--per-prime", "1"], ["--diversity"]):
        out = Path("_".join(flags) or "plain")
        assert main(["-q", "render", "bunny", "--out", str(out), *flags]) == 0
        (picture,) = out.glob("*.png")
        with Image.open(picture) as image:
            shown[picture.name, out.name] = image.tobytes()
    assert len(set(shown.values())) == 4
    assert ("diversity.png", "--diversity") in shown
    assert main(["-q", "render", "bunny", "--each", "video", "--out", "each"]) == 0
    names = ["ground-truth", "sample-1", "sample-2", "sample-3"]
    assert files("each") == ["figures.json", *(f"strip-1-{n}.png" for n in names)]


def test_every_kth_frame_goes_before_what_the_recipe_says_of_frames():
    run = make_run("bunny", "100")
    text = RECIPE.replace("rows: 1}", "rows: 1, frames: [0, 6]}")
    write_recipe(run, text)
    widths = []
    for flags in ([], ["--every", "1"]):
        assert main(["-q", "render", "bunny", "--force", *flags]) == 0
        with Image.open("runs/bunny/figures/100/strip.png") as picture:
            widths.append(picture.width)
    assert widths[0] < widths[1]


def log(run, *scores):
    """A training that logged these scores, 10 steps apart."""
    with MetricsLog(run / "metrics.jsonl") as metrics:
        for number, score in enumerate(scores, start=1):
            metrics.append(10 * number, bits_per_dim=score)


def test_curves_need_no_samples_and_stand_with_the_run(capsys):
    log(make_run("bunny"), 8, 4, 2)
    assert main(["render", "bunny", "--format", "curves", "-n"]) == 0
    assert not Path("runs/bunny/figures").exists()
    assert main(["-q", "--json", "render", "bunny", "--format", "curves"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "would write runs/bunny/figures/training.png"
    assert json.loads("".join(said[1:])) == {
        "files": ["runs/bunny/figures/training.png"],
        "dry_run": False,
    }
    assert files("runs/bunny/figures") == ["figures.json", "training.png"]


def test_curves_of_several_runs_are_one_picture():
    log(make_run("bunny", "100"), 8, 4, 2)
    log(make_run("bikes", "300"), 8, 5)
    words = ["-q", "render", "bunny", "bikes", "--format", "curves"]
    assert main(words) == 0
    out = Path("runs/bunny/figures/curves-beside-bikes")
    assert files(out) == ["figures.json", "training.png"]
    assert main([*words, "--format", "png", "--out", "shown"]) == 0
    names = ["figures.json", "strip.png", "training.png"]
    assert files("shown") == names


def test_nothing_is_drawn_where_one_of_the_pictures_cannot_be():
    run = make_run("bunny", "100")
    log(run, 8, 4)
    run.joinpath("figures").mkdir()
    run.joinpath("figures/training.png").write_text("mine")
    words = ["-q", "render", "bunny", "--format", "png", "--format", "curves"]
    assert main(words) == 2
    assert not Path("runs/bunny/figures/100").exists()


def foreign_samples():
    write_samples(Path("mine"), made_up_samples())


@pytest.mark.parametrize(
    ("arrange", "words", "sentence"),
    [
        (lambda: make_run("a"), ["a"], "nothing is logged or measured here yet"),
        (lambda: None, ["a"], "no run called 'a'"),
        (lambda: Path("a").mkdir(), ["a"], "not a run folder"),
        (foreign_samples, ["mine"], "lie in no run; curves are of runs"),
        (lambda: make_run("a"), ["a", "--every", "2"], "--every: of samples, not of"),
        (
            lambda: write_clips(Path("clips/c"), {"train": [4]}),
            ["c"],
            "curves: of runs; of clips there are png, gif, mp4",
        ),
    ],
)
def test_where_there_are_no_curves_one_line_says_why(capsys, arrange, words, sentence):
    arrange()
    before = sorted(Path().rglob("*"))
    assert main(["-q", "render", *words, "--format", "curves"]) == 2
    error, *hint = capsys.readouterr().err.splitlines()
    assert sentence in error
    assert len(hint) <= 1
    assert sorted(Path().rglob("*")) == before
