"""Which frames, samples, runs and files `svt render` is asked for."""

import json
from pathlib import Path

import pytest
from PIL import Image

from svtcli.cli.app import main
from tests.cli.made_up_runs import RECIPE, files, make_run


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
    sizes = {}
    for flags in ([], ["--frames", "0,6"], ["--per-prime", "1"], ["--diversity"]):
        out = Path("_".join(flags) or "plain")
        assert main(["-q", "render", "bunny", "--out", str(out), *flags]) == 0
        (picture,) = out.glob("*.png")
        with Image.open(picture) as image:
            sizes[picture.name, out.name] = image.size
    assert len(set(sizes.values())) == 4
    assert ("diversity.png", "--diversity") in sizes
    assert main(["-q", "render", "bunny", "--each", "video", "--out", "each"]) == 0
    names = ["sample-1", "sample-2", "sample-3", "truth"]
    assert files("each") == ["figures.json", *(f"strip-1-{n}.png" for n in names)]


def test_every_kth_frame_goes_before_what_the_recipe_says_of_frames():
    run = make_run("bunny", "100")
    text = RECIPE.replace("rows: 1}", "rows: 1, frames: [0, 6]}")
    (run / "recipe.yaml").write_text(text)
    widths = []
    for flags in ([], ["--every", "1"]):
        assert main(["-q", "render", "bunny", "--force", *flags]) == 0
        with Image.open("runs/bunny/figures/100/strip.png") as picture:
            widths.append(picture.width)
    assert widths[0] < widths[1]
