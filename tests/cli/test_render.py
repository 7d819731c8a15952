"""`svt render` as a person types it: words, exit codes, files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from svtcli.cli.app import main
from svtcli.run.samples import write_samples
from tests.cli.made_up_runs import files, make_run
from tests.render.made_up import made_up_samples
from tests.written_clips import write_clips


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)


def test_without_argument_the_newest_samples_of_all_runs_are_drawn(capsys):
    make_run("bikes", "100", "300")
    make_run("bunny", "200")
    assert main(["render"]) == 0
    said = capsys.readouterr()
    assert said.out == "runs/bikes/figures/300/strip.png\n"
    assert "samples: runs/bikes/samples/300\n" in said.err
    assert files("runs/bikes/figures/300") == ["figures.json", "strip.png"]


@pytest.mark.parametrize("run", ["bunny", "runs/bunny", "./runs/bunny/"])
def test_a_run_stands_for_its_newest_samples(capsys, run):
    make_run("bunny", "100", "200")
    make_run("bikes", "300")
    assert main(["render", run]) == 0
    said = capsys.readouterr()
    assert said.out == "runs/bunny/figures/200/strip.png\n"
    assert "samples: runs/bunny/samples/200\n" in said.err


def test_a_samples_folder_of_a_run_takes_its_recipe(capsys):
    make_run("bunny", "100", "200")
    assert main(["render", "runs/bunny/samples/100"]) == 0
    assert capsys.readouterr().out == "runs/bunny/figures/100/strip.png\n"
    record = json.loads(Path("runs/bunny/figures/100/figures.json").read_text())
    assert record["pictures"]["strip.png"]["settings"]["every"] == 3


def test_a_samples_folder_outside_a_run_keeps_its_pictures(capsys):
    write_samples(Path("mine"), made_up_samples())
    assert main(["render", "mine"]) == 0
    assert capsys.readouterr().out == (
        "mine/figures/strip.png\nmine/figures/samples.gif\n"
    )


def test_it_works_from_inside_a_samples_folder(capsys, monkeypatch):
    run = make_run("bunny", "100").resolve()
    monkeypatch.chdir(run / "samples" / "100")
    assert main(["render", "."]) == 0
    assert files(run / "figures" / "100") == ["figures.json", "strip.png"]


def test_flags_override_the_recipe(capsys):
    make_run("bunny", "100")
    flags = ["--every", "2", "--rows", "2", "--scale", "3", "--fps", "12.5"]
    formats = ["--format", "gif", "--format", "mp4"]
    assert main(["render", "bunny", "--out", "shown", *formats, *flags]) == 0
    assert capsys.readouterr().out == "shown/samples.gif\nshown/samples.mp4\n"
    record = json.loads(Path("shown/figures.json").read_text())
    assert record["pictures"]["samples.gif"]["settings"] == {
        "formats": ["gif", "mp4"],
        "every": 2,
        "frames": None,
        "per_prime": None,
        "diversity": False,
        "actions": False,
        "each": None,
        "rows": 2,
        "scale": 3,
        "smooth": False,
        "fps": 12.5,
    }


def test_json_names_samples_and_files(capsys):
    make_run("bunny", "100")
    assert main(["--json", "render", "bunny"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "samples": "runs/bunny/samples/100",
        "files": ["runs/bunny/figures/100/strip.png"],
        "dry_run": False,
    }


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(capsys):
    make_run("bunny", "100")
    assert main(["render", "bunny", "-n"]) == 0
    said = capsys.readouterr().out
    assert said == "would write runs/bunny/figures/100/strip.png\n"
    assert not Path("runs/bunny/figures").exists()


def test_the_same_again_names_the_pictures_and_draws_nothing(capsys):
    make_run("bunny", "100")
    strip = Path("runs/bunny/figures/100/strip.png")
    assert main(["render"]) == 0
    drawn = strip.stat().st_mtime_ns
    capsys.readouterr()
    assert main(["render"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{strip}\n"
    assert said.err.endswith(f"{strip.parent}: these pictures already exist\n")
    assert main(["render", "-n"]) == 0
    assert capsys.readouterr().out == ""
    assert strip.stat().st_mtime_ns == drawn
    assert main(["render", "--force"]) == 0
    assert strip.stat().st_mtime_ns > drawn
    drawn = strip.read_bytes()
    assert main(["render", "--frames", "0,2"]) == 0
    assert strip.read_bytes() != drawn


def test_pictures_that_svt_did_not_draw_are_replaced_only_by_force(capsys):
    strip = make_run("bunny", "100") / "figures/100/strip.png"
    strip.parent.mkdir(parents=True)
    strip.write_text("mine")
    for flags in ([], ["-n"]):
        assert main(["-q", "render", *flags]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.splitlines() == [
            f"svt: error: {strip}: already exists, and svt did not draw it",
            "hint: give it another name, or replace it: svt render with --force",
        ]
    assert main(["render", "--force"]) == 0


def make_clips(folder="clips/cooking"):
    """A dataset of two splits, with labels in one of them."""
    return write_clips(Path(folder), {"train": [9, 3, 5], "test": [4]})


def test_clips_are_drawn_as_a_contact_sheet(capsys):
    make_clips()
    assert main(["render", "clips/cooking"]) == 0
    assert capsys.readouterr().out == "clips/cooking/figures/sheet.png\n"
    assert files("clips/cooking/figures") == ["figures.json", "sheet.png"]
    assert main(["--json", "render", "clips/cooking:test", "--format", "gif"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "clips": "clips/cooking",
        "files": ["clips/cooking/figures/test/sheet.gif"],
        "dry_run": False,
    }


@pytest.mark.parametrize("split", ["", ":train"])
def test_clips_are_found_by_their_name(capsys, split):
    make_clips()
    assert main(["render", f"cooking{split}", "--out", "shown", "-n"]) == 0
    said = capsys.readouterr()
    assert said.out == "would write shown/sheet.png\n"
    assert said.err == "clips: clips/cooking\n"
    assert not Path("shown").exists()


def test_a_run_goes_before_clips_of_the_same_name(capsys):
    make_run("bunny", "100")
    make_clips("clips/bunny")
    assert main(["render", "bunny", "-n"]) == 0
    assert "runs/bunny/figures" in capsys.readouterr().out
    assert main(["render", "bunny:test", "-n"]) == 0
    assert "clips/bunny/figures" in capsys.readouterr().out


def test_flags_reach_the_sheet(capsys):
    make_clips()
    sizes = {}
    flags = [[], ["--rows", "1"], ["--scale", "3"], ["--every", "4"], ["--seed", "1"]]
    for flag in flags:
        out = Path("_".join(flag) or "plain")
        assert main(["render", "cooking:train", "--out", str(out), *flag]) == 0
        with Image.open(out / "sheet.png") as picture:
            sizes[out.name] = picture.size
    plain = sizes["plain"]
    assert sizes["--seed_1"] == plain, "all three clips, whatever the seed"
    assert all(sizes[f"--{flag}"] != plain for flag in ("rows_1", "scale_3", "every_4"))


def test_another_seed_shows_other_clips():
    make_clips()
    sheets = set()
    for seed in "012345":
        words = ["render", "cooking:train", "--rows", "1", "--seed", seed]
        assert main([*words, "--out", seed]) == 0
        with Image.open(Path(seed, "sheet.png")) as picture:
            clip_alone = picture.crop((0, 0, picture.width, picture.height // 2))
        sheets.add(clip_alone.tobytes())
    assert len(sheets) == 3


def test_a_wrong_name_is_answered_with_the_nearest_clips(capsys):
    make_clips()
    for wrong in ("coking", "coking:train", "clips/coking"):
        assert main(["render", wrong]) == 2
        assert "hint: did you mean cooking?" in capsys.readouterr().err


def unfinished_clips():
    Path("clips/cooking/.work").mkdir(parents=True)


def torn_clips():
    shard = next(make_clips().glob("test*.frames.npy"))
    shard.write_bytes(shard.read_bytes()[:-1])


def unreadable_clips():
    Path("clips/cooking").mkdir(parents=True)
    Path("clips/cooking/manifest.json").write_text("{")


def interrupted():
    make_run("bunny", "100")
    Path("runs/bunny/samples/100/samples.json").unlink()


def empty():
    Path("void").mkdir()


def foreign():
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(b"")


def a_file():
    Path("clip.mp4").write_bytes(b"")


def of_another_program():
    Path("theirs").mkdir()
    Path("theirs/samples.json").write_text('{"samples": []}')


def torn():
    write_samples(Path("torn"), made_up_samples())
    Path("torn/truth.npy").write_bytes(b"\x93NUMPY")


def two_unlike():
    make_run("a", "1")
    make_run("b", "2")
    write_samples(Path("runs/b/samples/2"), made_up_samples(clips=3))


def run_and_clips():
    make_run("a", "1")
    make_clips()


REFUSALS = [
    (lambda: None, [], 2, "no finished samples under runs/"),
    (interrupted, [], 2, "no finished samples under runs/"),
    (interrupted, ["bunny"], 2, "no finished samples in this run yet"),
    (interrupted, ["runs/bunny/samples/100"], 2, "sampling did not finish here"),
    (empty, ["void"], 2, "void: no samples, run or clips are in this folder"),
    (foreign, ["photos"], 2, "photos: no samples, run or clips are in this folder"),
    (a_file, ["clip.mp4"], 2, "clip.mp4: a file; name a folder of samples or a run"),
    (lambda: make_run("bunny", "100"), ["buny"], 2, "no run, samples or clips called"),
    (lambda: make_run("bunny", "100"), ["--format", "webp"], 2, "webp"),
    (lambda: make_run("bunny", "100"), ["--every", "0"], 2, "--every"),
    (lambda: make_run("bunny", "100"), ["--scale", "x"], 2, "--scale"),
    (lambda: make_run("bunny", "100"), ["--fps", "0"], 2, "--fps"),
    (lambda: make_run("a", "1"), ["--frames", "0,x"], 2, "--frames x: must be numbers"),
    (lambda: make_run("a", "1"), ["--frames", "7"], 2, "frame 7: these videos have"),
    (
        lambda: make_run("a", "1"),
        ["a", "--frames", "1", "--every", "2"],
        2,
        "--every and --frames: choose one",
    ),
    (
        lambda: make_run("a", "1"),
        ["--diversity", "--every", "2"],
        2,
        "--every and --diversity: choose one",
    ),
    (two_unlike, ["a", "b"], 2, "cannot be compared: 2 clips and 3"),
    (two_unlike, ["a", "a", "--diversity"], 2, "the samples of one model"),
    (run_and_clips, ["a", "cooking"], 2, "only samples are drawn side by side"),
    (make_clips, ["cooking", "cooking"], 2, "only samples are drawn side by side"),
    (make_clips, ["cooking", "--per-prime", "1"], 2, "--per-prime: of samples"),
    (lambda: make_run("bunny", "100"), ["--fps", "nan"], 2, "--fps"),
    (a_file, ["--out", "clip.mp4"], 2, "clip.mp4: not a folder"),
    (of_another_program, ["theirs"], 65, "samples.json: damaged"),
    (torn, ["torn"], 65, "torn/truth.npy: has changed"),
    (lambda: make_run("a", "1"), ["a", "--seed", "1"], 2, "--seed: samples are not"),
    (make_clips, ["cooking:val"], 2, "no split 'val'; it has train, test"),
    (make_clips, ["cooking", "--rows", "0"], 2, "--rows"),
    (make_clips, ["cooking", "--seed", "-1"], 2, "--seed"),
    (make_clips, ["cooking", "--fps", "0"], 2, "--fps"),
    (unfinished_clips, ["clips/cooking"], 2, "clips are not finished"),
    (torn_clips, ["cooking"], 65, "not the file that was prepared"),
    (unreadable_clips, ["cooking"], 65, "manifest.json: damaged"),
]


@pytest.mark.parametrize(("arrange", "words", "code", "sentence"), REFUSALS)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    capsys, arrange, words, code, sentence
):
    arrange()
    if "--out" in words:
        make_run("bunny", "100")
    before = sorted(Path().rglob("*"))
    assert main(["-q", "render", *words]) == code
    said = capsys.readouterr()
    assert said.out == ""
    error, *hint = said.err.splitlines()
    assert error.startswith("svt: error: ")
    assert sentence in error
    assert len(hint) <= 1
    assert sorted(Path().rglob("*")) == before, "something half-written is left"


def test_a_wrong_name_is_answered_with_the_nearest(capsys):
    make_run("bunny", "100")
    main(["render", "buny"])
    assert "hint: did you mean bunny?" in capsys.readouterr().err


def test_help_answers_without_loading_anything_heavy():
    check = (
        "import sys; from svtcli.cli.app import main; main(['render', '-h']); "
        "print(sorted({'jax', 'numpy', 'av', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--format" in done.stdout
